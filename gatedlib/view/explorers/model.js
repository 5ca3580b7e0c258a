// @ts-check
/**
 * The library's model, step for step: what learns, from what, in which order, and what is read off it.
 *
 * In the population limit a student is learned in coordinates (see `gatedlib.simulation.subspace`): one row of them if
 * all outputs share their gates, a row for each output if each has gates of its own. Functions that a worker runs use
 * nothing but their arguments and each other.
 *
 * @typedef {{targets: number[][][], weights: number[][][], gates: number[][], gram?: number[][][], outputs?: number}} Start
 *   targets (task, row, coordinate), weights (path, row, coordinate), gates (path, row). Where rows of coordinates are
 *   no outputs, either gram: for every output the inner products of its rows of the basis (output, coordinate,
 *   coordinate), or outputs: how many rows of whole matrices stand one after the other.
 * @typedef {{tau_w: number, tau_c: number, dt: number, a?: number, b?: number, k?: number, per_neuron?: boolean,
 *   weight_decay?: number}} Flow
 * @typedef {ArrayLike<number>} Tasks the task of every step
 * @typedef {(t: number) => {x: ArrayLike<number>, noise: ArrayLike<number>}} Sample
 *   the one input that step t sees, and the noise on the right answers to it
 * @typedef {(t: number, w: Float64Array, c: Float64Array) => void} Watch what looks at weights and gates before step t
 * @typedef {{steps: number, dt: number, tasks: Tasks, loss: Float64Array, gates: Float64Array[], weights: Float64Array[],
 *   seen: Float64Array, final: Float64Array, size: number[]}} Run
 *   loss: on all inputs; seen: on the samples, if it learned from these; gates: a series for each path and row;
 *   weights: a series for each path, row and coordinate, if they were kept.
 */

/**
 * Put in the place of the error of a whole matrix what one sample shows of it, times the sample; give the squared error.
 * @param {Float64Array} error (output, input), flat @param {{x: ArrayLike<number>, noise: ArrayLike<number>}} sample
 */
export function seeSample(error, { x, noise }) {
  let squares = 0;
  for (let i = 0; i < noise.length; i++) {
    const from = i * x.length;
    let on = noise[i];
    for (let j = 0; j < x.length; j++) on += error[from + j] * x[j];
    for (let j = 0; j < x.length; j++) error[from + j] = on * x[j];
    squares += on * on;
  }
  return squares;
}

/**
 * Learn: explicit Euler steps of both time constants, gates under both penalties.
 * @param {Start} start @param {Flow} flow @param {Tasks} tasks
 * @param {{keepWeights?: boolean, sample?: Sample | null, watch?: Watch | null}} also
 *   sample: to learn from one input at each step, not from all; the coordinates are then whole matrices.
 * @returns {Run}
 */
export function learn(start, flow, tasks, { keepWeights = false, sample = null, watch = null } = {}) {
  const { tau_w, tau_c, dt, a = 0, b = 0, k = 1, per_neuron = false } = flow;
  const P = start.weights.length,
    R = start.weights[0].length,
    D = start.weights[0][0].length;
  const targets = Float64Array.from(start.targets.flat(2));
  const w = Float64Array.from(start.weights.flat(2)),
    c = Float64Array.from(start.gates.flat());
  const steps = tasks.length,
    error = new Float64Array(R * D),
    norms = new Float64Array(R);
  const loss = new Float64Array(steps),
    seen = new Float64Array(sample ? steps : 0),
    gates = Array.from(c, () => new Float64Array(steps));
  const weights = keepWeights ? Array.from(w, () => new Float64Array(steps)) : [];
  const slow = dt / tau_w,
    fast = dt / tau_c;
  for (let t = 0; t < steps; t++) {
    const target = tasks[t] * R * D;
    let squares = 0;
    for (let at = 0; at < R * D; at++) {
      const row = (at / D) | 0;
      let e = targets[target + at];
      for (let p = 0; p < P; p++) e -= c[p * R + row] * w[p * R * D + at];
      error[at] = e;
      squares += e * e;
    }
    loss[t] = squares / 2;
    for (let n = 0; n < c.length; n++) gates[n][t] = c[n];
    if (keepWeights) for (let n = 0; n < w.length; n++) weights[n][t] = w[n];
    if (watch) watch(t, w, c);
    if (sample) seen[t] = seeSample(error, sample(t)) / 2;
    norms.fill(0); // of all gates together, or of each row's
    for (let n = 0; n < c.length; n++) norms[per_neuron ? n % R : 0] += k === 1 ? Math.abs(c[n]) : c[n] * c[n];
    for (let n = 0; n < c.length; n++) {
      const row = n % R,
        sum = norms[per_neuron ? row : 0],
        norm = k === 1 ? sum : Math.sqrt(sum),
        gate = c[n];
      let push = -b * (norm - 1) * (k === 1 ? Math.sign(gate) : norm > 0 ? gate / norm : 0);
      if (gate < 0) push += a;
      for (let d = 0; d < D; d++) {
        push += w[n * D + d] * error[row * D + d];
        w[n * D + d] += slow * gate * error[row * D + d];
      }
      c[n] = gate + fast * push;
    }
  }
  const final = new Float64Array(w.length + c.length);
  final.set(w);
  final.set(c, w.length);
  return { steps, dt, tasks, loss, gates, weights, seen, final, size: [P, R, D] };
}

/**
 * Learn with two layers, whose second one plays the gates; both penalties act on all of it.
 * @param {{targets: number[][][], weights: number[][], gates: number[][]}} start
 *   targets (task, output, coordinate), weights (hidden, coordinate), gates (hidden, output)
 * @param {Flow} flow @param {Tasks} tasks @param {{sample?: Sample | null, watch?: Watch | null}} also as for `learn`
 * @returns {{loss: Float64Array, weights: Float64Array, gates: Float64Array}} loss on all inputs; the ends, flat
 */
export function learnTwoLayers(start, flow, tasks, { sample = null, watch = null } = {}) {
  const { tau_w, tau_c, dt, a = 0, b = 0, k = 2, weight_decay = 0 } = flow;
  const H = start.weights.length,
    D = start.weights[0].length,
    O = start.gates[0].length;
  const w = Float64Array.from(start.weights.flat()),
    c = Float64Array.from(start.gates.flat());
  const targets = start.targets.map((each) => Float64Array.from(each.flat()));
  const error = new Float64Array(O * D),
    pull = new Float64Array(D),
    loss = new Float64Array(tasks.length);
  for (let t = 0; t < tasks.length; t++) {
    if (watch) watch(t, w, c);
    error.set(targets[tasks[t]]);
    for (let h = 0; h < H; h++)
      for (let i = 0; i < O; i++) {
        const gate = c[h * O + i];
        for (let d = 0; d < D; d++) error[i * D + d] -= gate * w[h * D + d];
      }
    let squares = 0,
      sum = 0;
    for (let n = 0; n < error.length; n++) squares += error[n] * error[n];
    loss[t] = squares / 2;
    if (sample) seeSample(error, sample(t));
    for (let n = 0; n < c.length; n++) sum += k === 1 ? Math.abs(c[n]) : c[n] * c[n];
    const norm = k === 1 ? sum : Math.sqrt(sum);
    for (let h = 0; h < H; h++) {
      for (let d = 0; d < D; d++) pull[d] = -weight_decay * w[h * D + d];
      for (let i = 0; i < O; i++) {
        const n = h * O + i,
          gate = c[n];
        let push = -b * (norm - 1) * (k === 1 ? Math.sign(gate) : norm > 0 ? gate / norm : 0);
        if (gate < 0) push += a;
        for (let d = 0; d < D; d++) {
          push += w[h * D + d] * error[i * D + d];
          pull[d] += gate * error[i * D + d];
        }
        c[n] = gate + (dt / tau_c) * push;
      }
      for (let d = 0; d < D; d++) w[h * D + d] += (dt / tau_w) * pull[d];
    }
  }
  return { loss, weights: w, gates: c };
}

/**
 * What each teacher would lose on the sample of each step.
 * @param {number[][][]} targets (task, output, input) @param {Tasks} tasks @param {Sample} sample
 */
export function teacherLosses(targets, tasks, sample) {
  const flat = targets.map((each) => Float64Array.from(each.flat())),
    error = new Float64Array(flat[0].length);
  const losses = targets.map(() => new Float64Array(tasks.length));
  for (let t = 0; t < tasks.length; t++) {
    const seen = sample(t);
    flat.forEach((teacher, m) => {
      for (let n = 0; n < error.length; n++) error[n] = flat[tasks[t]][n] - teacher[n];
      losses[m][t] = seeSample(error, seen) / 2;
    });
  }
  return losses;
}

/** How many steps of dt a length of time is. @param {number} length @param {number} dt */
export function stepsOf(length, dt) {
  return Math.max(1, Math.round(length / dt));
}

/** Tasks in turn. @param {number} steps @param {number} block steps of a block @param {number[]} order */
export function inTurn(steps, block, order = [0, 1]) {
  return Uint8Array.from({ length: steps }, (_, t) => order[Math.floor(t / block) % order.length]);
}

/**
 * Tasks that change at random moments, to any of the others.
 * @param {number} steps @param {number} mean steps of a block @param {() => number} random @param {number} count of tasks
 */
export function atRandom(steps, mean, random, count = 2) {
  let task = 0;
  const next = () => (task + 1 + (count > 2 ? Math.floor((count - 1) * random()) : 0)) % count;
  return Uint8Array.from({ length: steps }, (_, t) => (task = t > 0 && random() < 1 / mean ? next() : task));
}

/** The first step of every block, and the end. @param {Tasks} tasks */
export function boundaries(tasks) {
  const found = [0];
  for (let t = 1; t < tasks.length; t++) if (tasks[t] !== tasks[t - 1]) found.push(t);
  return [...found, tasks.length];
}

/**
 * How long after each start of a block the loss falls below a criterion; the block's length if it never does.
 * @param {ArrayLike<number>} loss @param {Tasks} tasks @param {number} dt @param {number} criterion
 * @param {number[]} edges the first step of every block, and the end
 */
export function recoveries(loss, tasks, dt, criterion = 0.1, edges = boundaries(tasks)) {
  return edges.slice(0, -1).map((start, block) => {
    let t = start;
    while (t < edges[block + 1] && loss[t] >= criterion) t++;
    return (t - start) * dt;
  });
}

/**
 * How often a series jumps one way and at the next step the other way.
 * @param {ArrayLike<number>} values @param {number} least of both jumps @param {number} begin the first step to look at
 */
export function countTurns(values, least, begin = 0) {
  let count = 0;
  for (let t = begin + 2; t < values.length; t++) {
    const [before, after] = [values[t - 1] - values[t - 2], values[t] - values[t - 1]];
    if (before * after < 0 && Math.min(Math.abs(before), Math.abs(after)) > least) count++;
  }
  return count;
}

/**
 * What a pair of paths conserves while all gates are positive, step by step, in units of tau_c.
 * @param {Run} run with its weights @param {Flow} flow
 */
export function invariant(run, { tau_w, tau_c }) {
  const size = run.weights.length / run.size[0];
  return run.loss.map((_, t) => {
    let apart = 0;
    for (let n = 0; n < size; n++) apart += (run.weights[n][t] - run.weights[size + n][t]) ** 2;
    return (run.gates[0][t] - run.gates[1][t]) ** 2 - (tau_w / tau_c) * apart;
  });
}

/**
 * The ideal observer's probability of each task after each step (two tasks or more).
 * @param {Float64Array[]} teacherLosses @param {number} noise @param {number} hazard of a switch at each step
 */
export function posterior(teacherLosses, noise, hazard) {
  const M = teacherLosses.length,
    steps = teacherLosses[0].length;
  const beliefs = teacherLosses.map(() => new Float64Array(steps));
  let now = teacherLosses.map(() => 1 / M);
  for (let t = 0; t < steps; t++) {
    const before = t === 0 ? now : now.map((each) => (1 - hazard) * each + (hazard / (M - 1)) * (1 - each));
    const least = Math.min(...teacherLosses.map((each) => each[t]));
    const weights = before.map((each, m) => each * Math.exp(-(teacherLosses[m][t] - least) / noise ** 2));
    const sum = weights.reduce((sum, each) => sum + each, 0);
    now = weights.map((each) => each / sum);
    now.forEach((each, m) => (beliefs[m][t] = each));
  }
  return beliefs;
}

/** The share of each gate in all that are open, equal if none is. @param {ArrayLike<number>} gates */
export function shares(gates) {
  const open = Array.from(gates, (each) => Math.max(each, 0)),
    sum = open.reduce((sum, each) => sum + each, 0);
  return open.map((each) => (sum > 0 ? each / sum : 1 / open.length));
}

/**
 * Single inputs and the noise on the right answers to them, one pair for each call.
 * @param {() => number} normal @param {number} inputs @param {number} outputs @param {number} noise
 */
export function drawSamples(normal, inputs, outputs, noise) {
  const sample = { x: new Float64Array(inputs), noise: new Float64Array(outputs) };
  return () => {
    for (let j = 0; j < inputs; j++) sample.x[j] = normal();
    for (let i = 0; i < outputs; i++) sample.noise[i] = noise * normal();
    return sample;
  };
}

/** Random numbers from a seed, the same everywhere (mulberry32): uniform, and normal. @param {number} seed */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}
