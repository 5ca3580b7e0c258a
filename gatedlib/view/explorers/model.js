// @ts-check
/**
 * The library's model, step for step: what learns, from what, in which order, and what is read off it.
 *
 * In the population limit a student is learned in coordinates (see `gatedlib.simulation.subspace`): one row of them if
 * all outputs share their gates, a row for each output if each has gates of its own. Functions that a worker runs use
 * nothing but their arguments and each other.
 *
 * @typedef {{targets: number[][][], weights: number[][][], gates: number[][], gram?: number[][][]}} Start
 *   targets (task, row, coordinate), weights (path, row, coordinate), gates (path, row); gram: for every output the
 *   inner products of its rows of the basis (output, coordinate, coordinate), where rows of coordinates are no outputs.
 * @typedef {{tau_w: number, tau_c: number, dt: number, a?: number, b?: number, k?: number, per_neuron?: boolean,
 *   weight_decay?: number}} Flow
 * @typedef {ArrayLike<number>} Tasks the task of every step
 * @typedef {{steps: number, dt: number, tasks: Tasks, loss: Float64Array, gates: Float64Array[], weights: Float64Array[],
 *   final: Float64Array, size: number[]}} Run
 *   gates: a series for each path and row; weights: a series for each path, row and coordinate, if they were kept.
 */

/**
 * Learn in the population limit: explicit Euler steps of both time constants, gates under both penalties.
 * @param {Start} start @param {Flow} flow @param {Tasks} tasks @param {boolean} keepWeights
 * @returns {Run}
 */
export function learn(start, flow, tasks, keepWeights = false) {
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
  return { steps, dt, tasks, loss, gates, weights, final, size: [P, R, D] };
}

/**
 * Learn with two layers, whose second one plays the gates; both penalties act on all of it.
 * @param {{targets: number[][][], weights: number[][], gates: number[][]}} start
 *   targets (task, output, coordinate), weights (hidden, coordinate), gates (hidden, output)
 * @param {Flow} flow @param {Tasks} tasks @param {number[]} frames the steps before which the gates are kept
 * @returns {{loss: Float64Array, frames: number[][][], weights: number[][][]}}
 */
export function learnTwoLayers(start, flow, tasks, frames = []) {
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
  const wanted = new Set(frames),
    kept = /** @type {number[][][]} */ ([]),
    first = /** @type {number[][][]} */ ([]);
  const table = (/** @type {Float64Array} */ flat, /** @type {number} */ width) =>
    Array.from({ length: H }, (_, h) => Array.from(flat.subarray(h * width, (h + 1) * width)));
  for (let t = 0; t < tasks.length; t++) {
    if (wanted.has(t)) {
      kept.push(table(c, O));
      first.push(table(w, D));
    }
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
  if (wanted.has(tasks.length)) {
    kept.push(table(c, O));
    first.push(table(w, D));
  }
  return { loss, frames: kept, weights: first };
}

/**
 * Learn from one sample at a time, with noise on the targets; one gate per path, whole matrices.
 * @param {{targets: number[][][], weights: number[][][], gates: number[]}} start targets (task, output, input) …
 * @param {Flow} flow @param {Tasks} tasks
 * @param {(t: number) => {x: ArrayLike<number>, noise: ArrayLike<number>}} sample what step t sees
 * @returns {{loss: Float64Array, clean: Float64Array, gates: Float64Array[], teacherLosses: Float64Array[],
 *   weights: number[][]}}
 *   loss on the sample, loss on all inputs, gates before and after each step (one more than steps), and what each
 *   teacher would lose on the sample
 */
export function learnSamples(start, flow, tasks, sample) {
  const { tau_w, tau_c, dt, a = 0, b = 0 } = flow;
  const P = start.weights.length,
    O = start.targets[0].length,
    J = start.targets[0][0].length,
    size = O * J;
  const targets = start.targets.map((each) => Float64Array.from(each.flat()));
  const w = start.weights.map((each) => Float64Array.from(each.flat())),
    c = Float64Array.from(start.gates);
  const steps = tasks.length,
    loss = new Float64Array(steps),
    clean = new Float64Array(steps);
  const gates = Array.from(c, () => new Float64Array(steps + 1));
  const teacherLosses = targets.map(() => new Float64Array(steps));
  const difference = new Float64Array(size),
    error = new Float64Array(O),
    pushes = new Float64Array(P);
  for (let t = 0; t < steps; t++) {
    const { x, noise } = sample(t),
      active = targets[tasks[t]];
    for (let p = 0; p < P; p++) gates[p][t] = c[p];
    let all = 0,
      seen = 0;
    for (let i = 0; i < O; i++) {
      let on = noise[i];
      for (let j = 0; j < J; j++) {
        const n = i * J + j;
        let each = active[n];
        for (let p = 0; p < P; p++) each -= c[p] * w[p][n];
        difference[n] = each;
        all += each * each;
        on += each * x[j];
      }
      error[i] = on;
      seen += on * on;
    }
    clean[t] = all / 2;
    loss[t] = seen / 2;
    targets.forEach((teacher, m) => {
      let squares = 0;
      for (let i = 0; i < O; i++) {
        let on = noise[i];
        for (let j = 0; j < J; j++) on += (active[i * J + j] - teacher[i * J + j]) * x[j];
        squares += on * on;
      }
      teacherLosses[m][t] = squares / 2;
    });
    let norm = 0;
    for (let p = 0; p < P; p++) norm += Math.abs(c[p]);
    for (let p = 0; p < P; p++) {
      let push = -b * (norm - 1) * Math.sign(c[p]) + (c[p] < 0 ? a : 0);
      const own = w[p],
        slow = (dt / tau_w) * c[p];
      for (let i = 0; i < O; i++)
        for (let j = 0; j < J; j++) {
          const pull = error[i] * x[j];
          push += own[i * J + j] * pull;
          own[i * J + j] += slow * pull;
        }
      pushes[p] = push;
    }
    for (let p = 0; p < P; p++) c[p] += (dt / tau_c) * pushes[p];
  }
  for (let p = 0; p < P; p++) gates[p][steps] = c[p];
  return { loss, clean, gates, teacherLosses, weights: w.map((each) => Array.from(each)) };
}

/** How many steps of dt a length of time is. @param {number} length @param {number} dt */
export function stepsOf(length, dt) {
  return Math.max(1, Math.round(length / dt));
}

/** Tasks in turn. @param {number} steps @param {number} block steps of a block @param {number[]} order */
export function inTurn(steps, block, order = [0, 1]) {
  return Uint8Array.from({ length: steps }, (_, t) => order[Math.floor(t / block) % order.length]);
}

/** Two tasks that change at random moments. @param {number} steps @param {number} mean @param {() => number} random */
export function atRandom(steps, mean, random) {
  let task = 0;
  return Uint8Array.from({ length: steps }, (_, t) => (task = t > 0 && random() < 1 / mean ? 1 - task : task));
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
 */
export function recoveries(loss, tasks, dt, criterion = 0.1) {
  const edges = boundaries(tasks);
  return edges.slice(0, -1).map((start, block) => {
    let t = start;
    while (t < edges[block + 1] && loss[t] >= criterion) t++;
    return (t - start) * dt;
  });
}

/** All orders of the numbers from 0. @param {number} count @returns {number[][]} */
export function orders(count) {
  if (count === 0) return [[]];
  return orders(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, place) => [...order.slice(0, place), count - 1, ...order.slice(place)]),
  );
}

/**
 * Which path serves each task, and how well all of them do: for the best assignment the cosine, over all tasks, of rows
 * of weights with rows of teachers, averaged over outputs.
 * @param {Start} start @param {ArrayLike<number>} weights (path, row, coordinate), flat
 */
export function alignment(start, weights) {
  const M = start.targets.length,
    P = start.weights.length,
    R = start.weights[0].length,
    D = start.weights[0][0].length;
  const outputs = start.gram ?? start.targets[0].map(() => null);
  const product = (/** @type {number} */ i, /** @type {ArrayLike<number>} */ u, /** @type {ArrayLike<number>} */ v) => {
    const gram = outputs[i];
    let sum = 0;
    for (let d = 0; d < D; d++) {
      if (gram === null) sum += u[d] * v[d];
      else for (let e = 0; e < D; e++) sum += u[d] * gram[d][e] * v[e];
    }
    return sum;
  };
  const path = (/** @type {number} */ p, /** @type {number} */ i) => {
    const from = (p * R + (R === 1 ? 0 : i)) * D;
    return Array.from({ length: D }, (_, d) => weights[from + d]);
  };
  const teacher = (/** @type {number} */ m, /** @type {number} */ i) => start.targets[m][R === 1 ? 0 : i];
  const score = (/** @type {number[]} */ order) => {
    let total = 0;
    for (let i = 0; i < outputs.length; i++) {
      let both = 0,
        ours = 0,
        theirs = 0;
      for (let m = 0; m < M; m++) {
        const [u, v] = [teacher(m, i), path(order[m], i)];
        both += product(i, u, v);
        theirs += product(i, u, u);
        ours += product(i, v, v);
      }
      total += ours > 0 ? both / Math.sqrt(ours * theirs) : 0;
    }
    return total / outputs.length;
  };
  const cosines = Array.from({ length: M }, (_, m) =>
    Array.from({ length: P }, (_, p) => {
      let sum = 0;
      for (let i = 0; i < outputs.length; i++) {
        const [u, v] = [teacher(m, i), path(p, i)];
        const lengths = Math.sqrt(product(i, u, u) * product(i, v, v));
        sum += lengths > 0 ? product(i, u, v) / lengths : 0;
      }
      return sum / outputs.length;
    }),
  );
  let [order, best] = [orders(P)[0].slice(0, M), -Infinity];
  for (const each of orders(P).map((order) => order.slice(0, M))) {
    const sum = each.reduce((sum, p, m) => sum + cosines[m][p], 0);
    if (sum > best) [order, best] = [each, sum];
  }
  return { order, cosine: score(order) };
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
 * The largest difference that two nearly equal gates are driven to, by the formula of
 * `gatedlib.theory.gate_divergence`: 1 or more where a gate reaches zero.
 * @param {Start} start @param {{tau_w: number, tau_c: number}} flow @param {number} length of a block
 * @param {number} blocks @param {number} last the length of the last one
 */
export function spreading(start, { tau_w, tau_c }, length, blocks, last) {
  const targets = start.targets.map((task) => task[0].slice(0, start.targets.length)),
    modes = targets[0].length;
  const [one, other] = start.weights.map((path) => path[0].slice(0, modes));
  const apart = one.map((each, d) => Math.sqrt(tau_w) * (each - other[d]));
  let gates = Math.sqrt(tau_c) * (start.gates[0][0] - start.gates[1][0]),
    most = 0;
  let error = targets[0].map((each, d) => each - (one[d] + other[d]) / 2);
  for (let block = 0; block < blocks; block++) {
    const size = Math.hypot(...error),
      q = Math.exp(-(block === blocks - 1 ? last : length) / (2 * tau_w));
    const turn = 2 * size * Math.sqrt(tau_w / tau_c) * (1 - q);
    const along = error.reduce((sum, each, d) => sum + (each / size) * apart[d], 0);
    const grown = Math.sinh(turn) * gates + Math.cosh(turn) * along;
    gates = Math.cosh(turn) * gates + Math.sinh(turn) * along;
    for (let d = 0; d < modes; d++) apart[d] += (grown - along) * (error[d] / size);
    most = Math.max(most, Math.abs(gates) / Math.sqrt(tau_c));
    const [now, next] = [targets[block % targets.length], targets[(block + 1) % targets.length]];
    error = error.map((each, d) => next[d] - now[d] + q * each);
  }
  return most;
}

/**
 * How far the block after the first zero carries the gates, relative to all the way, by the formula of
 * `gatedlib.theory.crossing`: where it is 1 or more, paths specialize.
 * @param {number} spread what `spreading` gives @param {Start} start
 * @param {{tau_w: number, tau_c: number}} flow @param {number} length of a block
 */
export function crossing(spread, start, { tau_w, tau_c }, length) {
  if (spread < 1) return 0;
  const [one, other] = start.targets.map((task) => task[0]);
  const kappa = tau_c / (tau_w * one.reduce((sum, each, d) => sum + (each - other[d]) ** 2, 0));
  const phi = (2 / Math.sqrt(kappa)) * Math.tanh(length / (4 * tau_w)),
    q = Math.exp(-length / (2 * tau_w));
  const left = Math.max(1 - (1 - q) * Math.max(1 - Math.log(spread) / phi, 0), q);
  const learned = (left - (q * q) / left) / (1 + q);
  return ((2 * Math.sqrt(kappa) * learned + learned ** 2) / kappa) * Math.sinh(phi / 2) ** 2;
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
