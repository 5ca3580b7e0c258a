// @ts-check
/**
 * When flexibility emerges: formulas and the ratchet of `gatedlib.theory`, for one network in the plane of its teachers.
 *
 * @typedef {import("./model.js").Start} Start
 */

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
 * When a gate first reaches zero and when paths specialize, by `gatedlib.theory.ratchet`: gates never below zero, weights
 * never outside of what the teachers span; infinite if it does not happen.
 * @param {Start} start whose first coordinates, one for each teacher, are those of their span
 * @param {{tau_w: number, tau_c: number, b: number}} flow @param {number} length of a block @param {number} duration
 */
export function ratchet(start, { tau_w, tau_c, b }, length, duration) {
  const TURN = 0.1,
    RATE = 0.4; // shares, as in the library, of the times within which a step may move
  const modes = start.targets.length,
    targets = start.targets.map((task) => task[0].slice(0, modes));
  const w = start.weights.map((path) => path[0].slice(0, modes)),
    c = start.gates.map(([gate]) => gate),
    error = new Array(modes).fill(0),
    push = new Array(c.length).fill(0);
  const distance = (/** @type {number[]} */ u, /** @type {number[]} */ v) =>
    Math.hypot(...u.map((each, d) => each - v[d]));
  const squaredDistance = (/** @type {number[][]} */ all) => {
    let [sum, pairs] = [0, 0];
    all.forEach((u, n) => all.slice(n + 1).forEach((v) => ((sum += distance(u, v) ** 2), pairs++)));
    return sum / pairs;
  };
  const largest = Math.max(...targets.flatMap((u) => [Math.hypot(...u), ...targets.map((v) => distance(u, v))]));
  const longest = Math.min((TURN * Math.sqrt(tau_w * tau_c)) / largest, (RATE * tau_c) / largest ** 2);
  const block = Math.ceil(length / longest - 1e-9),
    step = length / block,
    steps = Math.round(duration / step);
  const half = squaredDistance(targets) / 2;
  let [zero, specialized] = [Infinity, Infinity];

  const errorNow = (/** @type {number[]} */ target) => {
    for (let d = 0; d < modes; d++) error[d] = target[d] - w.reduce((sum, path, p) => sum + c[p] * path[d], 0);
  };
  const learnHalfAStep = (/** @type {number[]} */ target) => {
    const squared = c.reduce((sum, gate) => sum + gate * gate, 0);
    const passed = -Math.expm1((-squared * step) / (2 * tau_w)) / (squared > 0 ? squared : 1);
    errorNow(target);
    w.forEach((path, p) => path.forEach((_, d) => (path[d] += passed * c[p] * error[d])));
  };
  const moveGates = (/** @type {number[]} */ target) => {
    errorNow(target);
    const total = c.reduce((sum, gate) => sum + gate, 0);
    w.forEach((path, p) => (push[p] = path.reduce((sum, each, d) => sum + each * error[d], 0)));
    const mean = (/** @type {number[]} */ of) => of.reduce((sum, p) => sum + push[p], 0) / Math.max(of.length, 1);
    const changeOfSum = (/** @type {number[]} */ open) => {
      let stiffness = b;
      for (let d = 0; d < modes; d++)
        stiffness += (open.reduce((sum, p) => sum + w[p][d], 0) / Math.max(open.length, 1)) ** 2;
      const gap = (mean(open) - b * (total - 1)) / (stiffness > 0 ? stiffness : 1);
      return gap * -Math.expm1((-open.length * stiffness * step) / tau_c);
    };
    const paths = c.map((_, p) => p),
      above = paths.filter((p) => c[p] > 0);
    const held = b * (total + changeOfSum(above) - 1);
    const open = paths.filter((p) => c[p] > 0 || push[p] > held);
    const shift = changeOfSum(open) / Math.max(open.length, 1),
      middle = mean(open);
    for (const p of open) c[p] = Math.max(c[p] + (step / tau_c) * (push[p] - middle) + shift, 0);
  };
  for (let t = 0; t < steps && !(zero < Infinity && specialized < Infinity); t++) {
    const target = targets[Math.floor(t / block) % targets.length];
    learnHalfAStep(target);
    moveGates(target);
    learnHalfAStep(target);
    if (zero === Infinity && Math.min(...c) <= 0) zero = (t + 1) * step;
    if (specialized === Infinity && squaredDistance(w) > half) specialized = (t + 1) * step;
  }
  return { zero, specialized };
}
