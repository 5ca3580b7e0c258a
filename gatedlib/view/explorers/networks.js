// @ts-check
/**
 * Networks of an experiment: what a seed draws, how it learns, what is measured of it. Teachers, weights and samples are
 * drawn as the library draws them, by random numbers of their own.
 */
import { alignment, alignmentOfUnits, cosines, unitsAsPaths } from "./matching.js";
import { drawSamples, learn, learnTwoLayers, randomNumbers, recoveries } from "./model.js";
import { crossing, ratchet, spreading } from "./theory.js";

/**
 * @typedef {import("./experiment.js").Plan} Plan
 * @typedef {{teachers: number[][][], weights: number[][][], gates: number[][]}} Drawn whole matrices:
 *   teachers (task, out, in), weights (path, out, in), of two layers (1, hidden, in), gates (unit, 1 or out)
 * @typedef {{seed: number, failed: boolean, recoveries: number[], on: Float32Array, off: Float32Array,
 *   apart: Float32Array, aligned: number, withParts: number, specialized: number,
 *   ratchet: {zero: number, specialized: number} | null, crossing: number | null,
 *   loss: Float64Array | null, gates: Float32Array[]}} Network
 *   how well paths are `aligned` with tasks, and `withParts` of these, in the end; `on`: the gate that serves the task that
 *   is on, `off`: the mean of the others, `apart`: how far paths are apart, relative to teachers, or for two layers how far
 *   units are aligned; all at frames. `loss` of every step and `gates` of each task, and of paths that serve none, of the
 *   network that is looked at
 */

/** Rows made orthonormal, one after the other; those that depend on others become zero. @param {number[][]} rows */
export function orthonormal(rows) {
  const done = /** @type {number[][]} */ ([]);
  for (const row of rows) {
    let left = row;
    const before = Math.hypot(...row);
    for (let twice = 0; twice < 2; twice++)
      for (const other of done) {
        const along = left.reduce((sum, each, d) => sum + each * other[d], 0);
        left = left.map((each, d) => each - along * other[d]);
      }
    const length = Math.hypot(...left);
    done.push(left.map((each) => (length > 1e-9 * before ? each / length : 0)));
  }
  return done;
}

/** What a seed draws. @param {Plan} plan @param {number} seed @returns {Drawn} */
export function drawn(plan, seed) {
  const { made, outputs: O, inputs: J, correlation: rho, units } = plan,
    M = made[0].length; // parts
  const { normal } = randomNumbers(seed + 1),
    table = (/** @type {number} */ rows, /** @type {number} */ columns, /** @type {number} */ size, mean = 0) =>
      Array.from({ length: rows }, () => Array.from({ length: columns }, () => mean + size * normal()));
  const rows = orthonormal(table(M * O, J, 1));
  const own = Math.sqrt(1 - rho),
    shared = (Math.sqrt(1 - rho + M * rho) - own) / M;
  const component = (/** @type {number} */ m, /** @type {number} */ i, /** @type {number} */ j) => {
    let sum = 0;
    for (let n = 0; n < M; n++) sum += rows[n * O + i][j];
    return plan.scale * (own * rows[m * O + i][j] + shared * sum);
  };
  const matrix = (/** @type {number[]} */ shares) =>
    Array.from({ length: O }, (_, i) =>
      Array.from({ length: J }, (_, j) => shares.reduce((sum, share, m) => sum + share * component(m, i, j), 0)),
    );
  const teachers = made.map(matrix);
  const size = plan.weight_scale / Math.sqrt(J);
  if (plan.student === "two layers")
    return { teachers, weights: [table(units, J, size)], gates: table(units, O, plan.gate_spread) };
  const weights = Array.from({ length: units }, () => table(O, J, size));
  const columns = plan.student === "a gate per path" ? 1 : O;
  return { teachers, weights, gates: table(units, columns, plan.gate_spread, plan.gate_init) };
}

/**
 * The same in the coordinates in which paths learn: of all inputs at once, in the span of teachers and first weights.
 * @param {Plan} plan @param {Drawn} whole @returns {import("./model.js").Start}
 */
export function startOf({ components, parts, student, noise }, { teachers, weights, gates }) {
  const perOutput = student !== "a gate per path";
  const dot = (/** @type {number[]} */ u, /** @type {number[]} */ v) =>
    u.reduce((sum, each, d) => sum + each * v[d], 0);
  if (noise > 0 && perOutput) return { targets: teachers, weights, gates };
  const flat = (/** @type {number[][][]} */ matrices) => matrices.map((matrix) => [matrix.flat()]);
  const [targets, first] = perOutput ? [teachers, weights] : [flat(teachers), flat(weights)];
  if (noise > 0) return { targets, weights: first, gates, outputs: teachers[0].length };
  const bases = targets[0].map((_, row) =>
    orthonormal(
      [...targets.slice(0, components), ...targets.slice(targets.length - parts), ...first].map((rows) => rows[row]),
    ),
  );
  const within = (/** @type {number[][][]} */ all) =>
    all.map((rows) => rows.map((row, i) => bases[i].map((basis) => dot(basis, row))));
  const width = teachers[0][0].length,
    slice = (/** @type {number[]} */ basis, /** @type {number} */ i) => basis.slice(i * width, (i + 1) * width);
  const gram = perOutput
    ? undefined
    : teachers[0].map((_, i) => bases[0].map((u) => bases[0].map((v) => dot(slice(u, i), slice(v, i)))));
  return { targets: within(targets), weights: within(first), gates, gram };
}

/** Samples of noisy targets, one for each step. @param {Plan} plan @param {number} seed */
export function samplesOf({ inputs, outputs, noise }, seed) {
  return noise === 0 ? null : drawSamples(randomNumbers(2 ** 31 + seed).normal, inputs, outputs, noise);
}

/** The mean squared distance over all pairs. @param {ArrayLike<number>} flat @param {number} count of matrices in it */
export function squaredDistance(flat, count) {
  const size = flat.length / count;
  let [squares, total] = [0, 0];
  for (let d = 0; d < size; d++) {
    let sum = 0;
    for (let n = d; n < flat.length; n += size) {
      squares += flat[n] * flat[n];
      sum += flat[n];
    }
    total += sum * sum;
  }
  return (2 * (count * squares - total)) / (count * (count - 1));
}

/**
 * One network: it learns, and is measured.
 * @param {Plan} plan @param {number} seed @param {boolean} looked whether it is the one that is looked at
 * @returns {Network}
 */
export function network(plan, seed, looked) {
  const { tasks, edges, every, flow, units, components: M, parts } = plan,
    { dt } = flow;
  const whole = drawn(plan, seed),
    sample = samplesOf(plan, seed),
    layers = plan.student === "two layers";
  const start = layers ? null : startOf(plan, whole);
  const components = /** @type {any} */ (start && { ...start, targets: start.targets.slice(0, M) });
  // what paths may have learned: the tasks that were met, and the parts of which these are made
  const [ofTasks, ofParts] = [plan.met, plan.partsMet.map((part) => whole.teachers.length - parts + part)].map(
    (met) => ({
      teachers: met.map((m) => whole.teachers[m]),
      start: /** @type {any} */ (start && { ...start, targets: met.map((m) => start.targets[m]) }),
      late: /** @type {number[][][] | undefined} */ (undefined),
    }),
  );
  const kinds = parts > 0 ? [ofTasks, ofParts] : [ofTasks];
  const between = start ? squaredDistance(start.targets.slice(0, M).flat(2), M) : 1;
  const frames = /** @type {Float32Array[]} */ ([]),
    hidden = /** @type {Float32Array[]} */ ([]),
    apart = /** @type {number[]} */ ([]);
  let specialized = Infinity;
  /** @type {import("./model.js").Watch} */
  const watch = (t, w, c) => {
    if (t % every !== 0) return;
    frames.push(Float32Array.from(c));
    // which path serves which task is found over the last tenth, as the library does
    if (t >= 0.9 * tasks.length)
      for (const kind of kinds) {
        const now = cosines(kind.start ?? unitsAsPaths(kind.teachers, w), w);
        kind.late =
          kind.late?.map((table, i) => table.map((row, m) => row.map((each, p) => each + now[i][m][p]))) ?? now;
      }
    if (!start) hidden.push(Float32Array.from(w));
    else if (units > 1) {
      apart.push(squaredDistance(w, units) / between);
      if (specialized === Infinity && apart[apart.length - 1] > 0.5) specialized = t * dt;
    }
  };
  const O = whole.gates[0].length;
  let loss = /** @type {Float64Array} */ (new Float64Array(0));
  let [aligned, withParts] = [NaN, NaN];
  // for each task, the place of the gate that serves it at each output; nothing of those that were not met
  const serving = /** @type {number[][]} */ (Array.from({ length: M }, () => []));
  if (start) {
    const run = learn(start, flow, tasks, { sample, watch });
    const found = alignment(ofTasks.start, run.final, ofTasks.late);
    [loss, aligned] = [run.loss, found.cosine];
    if (parts > 0) withParts = alignment(ofParts.start, run.final, ofParts.late).cosine;
    plan.met.forEach((m, n) => {
      serving[m] = found.orders.map((order, i) => (order[n] < 0 ? -1 : order[n] * O + i));
    });
  } else {
    const first = { targets: whole.teachers, weights: whole.weights[0], gates: whole.gates };
    const run = learnTwoLayers(first, flow, tasks, { sample, watch });
    const { teachers, late } = ofTasks,
      found = alignmentOfUnits(teachers, run.weights, late);
    [loss, aligned] = [run.loss, found.cosine];
    if (parts > 0) withParts = alignmentOfUnits(ofParts.teachers, run.weights, ofParts.late).cosine;
    plan.met.forEach((m, n) => {
      serving[m] = found.units[n].map((unit, i) => (unit < 0 ? -1 : unit * O + i));
    });
    for (const w of hidden) {
      const [table] = cosines(unitsAsPaths(teachers, w), w);
      let [sum, count] = [0, 0];
      found.units.flat().forEach((unit, place) => {
        if (unit < 0) return;
        sum += table[place][unit];
        count++;
      });
      apart.push(sum / count);
    }
  }
  const mean = (/** @type {Float32Array} */ c, /** @type {number[]} */ places) => {
    let [sum, count] = [0, 0];
    for (const place of places)
      if (place >= 0) {
        sum += c[place];
        count++;
      }
    return count > 0 ? sum / count : NaN;
  };
  const on = Float32Array.from(frames, (c, n) => mean(c, serving[tasks[n * every]] ?? []));
  const off = Float32Array.from(frames, (c, n) => {
    const task = tasks[n * every];
    if (task >= M) return NaN;
    const others = [...c.keys()].filter((place) => !serving[task].includes(place));
    return mean(c, others);
  });
  const spare =
    plan.student === "a gate per path"
      ? [...whole.gates.keys()].filter((path) => !serving.flat().includes(path)).map((path) => [path])
      : [];
  const failed = !(loss[loss.length - 1] < 1e12);
  // the ratchet begins with gates of which none is below zero, and one is open
  const first = whole.gates.map(([gate]) => gate);
  const begins = plan.block !== null && Math.min(...first) >= 0 && Math.max(...first) > 0;
  return {
    seed,
    failed,
    recoveries: recoveries(loss, tasks, dt, plan.criterion, edges),
    on,
    off,
    apart: Float32Array.from(apart),
    aligned,
    withParts,
    specialized,
    ratchet:
      start && begins
        ? ratchet(
            components,
            { tau_w: flow.tau_w, tau_c: flow.tau_c, b: flow.b ?? 0 },
            plan.block ?? 1,
            tasks.length * dt,
          )
        : null,
    crossing: start && begins && M === 2 && units === 2 ? crossingOf(plan, components) : null,
    loss: looked ? loss : null,
    gates: looked ? [...serving, ...spare].map((places) => Float32Array.from(frames, (c) => mean(c, places))) : [],
  };
}

/** How far one block carries the gates across, by the closed form. @param {Plan} plan @param {import("./model.js").Start} start */
export function crossingOf({ flow, edges, block }, start) {
  const blocks = edges.length - 1,
    last = (edges[blocks] - edges[blocks - 1]) * flow.dt;
  return crossing(spreading(start, flow, block ?? 1, blocks, last), start, flow, block ?? 1);
}

/** Some networks, one after the other. @param {Plan} plan @param {number[]} seeds @param {number} looked */
export function* networks(plan, seeds, looked) {
  for (const seed of seeds) yield network(plan, seed, seed === looked);
}
