// @ts-check
/** An experiment from settings: its tasks, which is on when, what the library would refuse. */
import { atRandom, inTurn, randomNumbers, stepsOf } from "./model.js";

/**
 * @typedef {Record<string, any>} Settings
 * @typedef {{components: number, parts: number, made: number[][], met: number[], partsMet: number[], outputs: number,
 *   inputs: number, scale: number, correlation: number, student: string, units: number, gate_init: number,
 *   gate_spread: number, weight_scale: number, flow: import("./model.js").Flow, noise: number, tasks: Uint8Array,
 *   edges: number[], cut: number[], every: number, same: number, criterion: number, block: number | null}} Plan
 *   what a worker needs to know: how many tasks are practised; of how many parts they are mixtures, 0 if each is one of
 *   its own; how these tasks, mixtures of them that follow, and last the parts are `made`: shares of parts; which tasks,
 *   and parts, are `met`, alone or in a mixture; `tasks` of all steps, `edges` of blocks, those that the end has `cut`
 *   short, the steps between two frames; the alignment of paths that are all the `same`; `block`: the length of all blocks
 *   where the ratchet can speak of them
 */

export const MADE = ["each of its own", "mixtures of parts"];
export const STUDENTS = ["a gate per path", "a gate per path and output", "two layers"];
export const CURRICULA = [
  "in turn",
  "the last one rare",
  "at random moments",
  "a round of your own",
  "practice, then mixtures",
];
export const INPUTS = ["all at once", "single noisy samples"];
export const LONGEST = 80; // time units
export const PRACTICE = 0.75; // of the time, where mixtures follow
const FRAMES = 500; // of a run, about

/** All pairs of tasks. @param {number} count */
export const pairs = (count) =>
  Array.from({ length: count }, (_, m) => Array.from({ length: count - m - 1 }, (_, n) => [m, m + n + 1])).flat();

/**
 * The shares of parts in each task, from a text such as "1+2 2+3"; null if a task is there twice, or a part left out.
 * @param {string} text @returns {number[][] | null} (task, part)
 */
export function mixturesOf(text) {
  const tasks = text.trim().split(/[\s,]+/);
  if (tasks.length < 2 || tasks.length > 5 || !tasks.every((task) => /^[1-5](\+[1-5])*$/.test(task))) return null;
  const parts = tasks.map((task) =>
    task
      .split("+")
      .map((part) => Number(part) - 1)
      .sort(),
  );
  const used = new Set(parts.flat()),
    inOrder = Math.max(...used) === used.size - 1;
  const once = parts.every((task) => new Set(task).size === task.length);
  if (!inOrder || !once || new Set(parts.map(String)).size < parts.length) return null;
  return parts.map((task) =>
    Array.from({ length: used.size }, (_, part) => (task.includes(part) ? 1 / task.length : 0)),
  );
}

/** Shares where each has itself as its only part. @param {number} count */
export const own = (count) =>
  Array.from({ length: count }, (_, task) => Array.from({ length: count }, (_, part) => Number(part === task)));

/** The shares of parts in each task. @param {Settings} settings */
export function tasksOf({ made, mix, tasks }) {
  return made === MADE[1] ? (mixturesOf(mix) ?? own(2)) : own(tasks);
}

/** The shares of parts in the mixtures of any two tasks. @param {number[][]} tasks */
export const mixturesOfTasks = (tasks) =>
  pairs(tasks.length).map(([m, n]) => tasks[m].map((share, part) => (share + tasks[n][part]) / 2));

/** Inner products of tasks, relative to the square of one part, where parts are alike. @param {number[][]} tasks @param {number} alike */
const productsOf = (tasks, alike) =>
  tasks.map((one) =>
    tasks.map((other) => one.reduce((sum, share, part) => sum + (1 - alike) * share * other[part], alike)),
  );

/** The smallest of tasks, in squares. @param {number[][]} tasks @param {number} alike */
const leastOf = (tasks, alike) => Math.min(...productsOf(tasks, alike).map((row, m) => row[m]));

/** The alignment of paths that are all the same, the mean of tasks. @param {number[][]} tasks @param {number} alike */
function alignmentOfSame(tasks, alike) {
  const products = productsOf(tasks, alike),
    squares = products.reduce((sum, row, m) => sum + row[m], 0);
  return Math.sqrt(products.flat().reduce((sum, each) => sum + each, 0) / (tasks.length * squares));
}

/**
 * The blocks of a round that was written down, such as "A1 B0.5": tasks and lengths; null if it is none.
 * @param {string} text @param {number} count of tasks @returns {[number, number][] | null}
 */
export function roundOf(text, count) {
  const blocks = text.trim().split(/[\s,]+/);
  /** @type {[number, number][]} */
  const round = blocks.map((block) => {
    const [, name, length] = /^([A-Ea-e])(\d*\.?\d+)$/.exec(block) ?? ["", "", "NaN"];
    return ["ABCDE".indexOf(name.toUpperCase()), Number(length)];
  });
  const known = round.every(([task, length]) => task >= 0 && task < count && length > 0);
  return known && new Set(round.map(([task]) => task)).size === count ? round : null;
}

/** The blocks of one round, where rounds are written out. @param {Settings} settings @returns {[number, number][]} */
export function blocksOf(settings) {
  const { curriculum, block_length, rare, round } = settings,
    count = tasksOf(settings).length;
  if (curriculum === "a round of your own") return roundOf(round, count) ?? [[0, block_length]];
  return Array.from({ length: count }, (_, task) => [task, task === count - 1 ? rare : block_length]);
}

/** How often a round is repeated. @param {Settings} settings @param {[number, number][]} blocks */
export const roundsOf = ({ duration }, blocks) =>
  Math.max(1, Math.floor(duration / blocks.reduce((sum, [, length]) => sum + length, 0) + 1e-9));

/** The task of every step, the first step of every block, and the end, and which blocks the end cuts short. @param {Settings} settings */
function scheduleOf(settings) {
  const { curriculum, dt, duration, block_length } = settings,
    count = tasksOf(settings).length;
  const all = Array.from({ length: count }, (_, task) => task),
    block = stepsOf(block_length, dt);
  const evenly = (/** @type {number} */ from, /** @type {number} */ steps) =>
    Array.from({ length: Math.ceil(steps / block) }, (_, n) => from + n * block);
  const steps = stepsOf(duration, dt);
  if (curriculum === "at random moments") {
    const tasks = atRandom(steps, block_length / dt, randomNumbers(settings.draw + 1).uniform, count);
    const edges = [...tasks.keys()].filter((t) => t === 0 || tasks[t] !== tasks[t - 1]);
    return { tasks, edges: [...edges, steps], cut: [edges.length - 1] };
  }
  if (curriculum === "practice, then mixtures") {
    const practice = stepsOf(PRACTICE * duration, dt),
      tasks = new Uint8Array(steps);
    const mixtures = pairs(count).map((_, n) => count + n);
    tasks.set(inTurn(practice, block, all));
    tasks.set(inTurn(steps - practice, block, mixtures), practice);
    const [single, mixed] = [evenly(0, practice), evenly(practice, steps - practice)];
    const cut = [
      ...(practice % block ? [single.length - 1] : []),
      ...((steps - practice) % block ? [single.length + mixed.length - 1] : []),
    ];
    return { tasks, edges: [...single, ...mixed, steps], cut };
  }
  if (curriculum === "in turn") {
    const edges = evenly(0, steps);
    return { tasks: inTurn(steps, block, all), edges: [...edges, steps], cut: steps % block ? [edges.length - 1] : [] };
  }
  const round = blocksOf(settings),
    blocks = Array.from({ length: roundsOf(settings, round) }, () => round).flat();
  const edges = [0];
  for (const [, length] of blocks) edges.push(edges[edges.length - 1] + stepsOf(length, dt));
  const tasks = new Uint8Array(edges[edges.length - 1]);
  blocks.forEach(([task], n) => tasks.fill(task, edges[n], edges[n + 1]));
  return { tasks, edges, cut: [] };
}

/** The steps between two frames: where blocks allow it, so that each begins with one. @param {number[]} edges */
function spacing(edges) {
  const wanted = Math.ceil(edges[edges.length - 1] / FRAMES);
  let common = 0;
  for (let [n, rest] = [1, 0]; n < edges.length - 1; n++)
    for (rest = edges[n] - edges[n - 1]; rest;) [common, rest] = [rest, common % rest];
  for (let every = wanted; 2 * every > wanted; every--) if (common % every === 0) return every;
  return wanted;
}

/** How long the rows of a teacher are. @param {Settings} settings */
const scaleOf = ({ length, d_in }) => length / Math.sqrt(d_in);

/** The loss of giving no answer at all, on a teacher of its own. @param {Settings} settings */
const silentLossOf = (settings) => (settings.d_out * scaleOf(settings) ** 2) / 2;

/** The loss below which a network has recovered: a share of that of no answer, on the smallest task. @param {Settings} settings */
export function criterionOf(settings) {
  const least = leastOf(tasksOf(settings), settings.correlation);
  return Number((settings.criterion * least * silentLossOf(settings)).toPrecision(3));
}

/** @param {Settings} settings @returns {Plan} */
export function planOf(settings) {
  const { tau_w, tau_c, dt, a, b, curriculum } = settings,
    ofParts = tasksOf(settings),
    parts = settings.made === MADE[1] ? ofParts[0].length : 0,
    layers = settings.student === "two layers";
  const made = [
    ...ofParts,
    ...(curriculum === "practice, then mixtures" ? mixturesOfTasks(ofParts) : []),
    ...own(parts),
  ];
  const schedule = scheduleOf(settings),
    on = [...new Set(schedule.tasks)],
    both = pairs(ofParts.length),
    met = [...ofParts.keys()].filter((m) => on.some((task) => task === m || both[task - ofParts.length]?.includes(m)));
  const noise = settings.inputs === "all at once" ? 0 : settings.noise;
  const inTheRatchet = settings.student === "a gate per path" && curriculum === "in turn" && noise === 0;
  return {
    ...schedule,
    components: ofParts.length,
    parts,
    made,
    met,
    partsMet: [...own(parts).keys()].filter((part) => on.some((task) => made[task][part] > 0)),
    outputs: settings.d_out,
    inputs: settings.d_in,
    scale: scaleOf(settings),
    correlation: settings.correlation,
    student: settings.student,
    units: layers ? settings.hidden : settings.paths,
    gate_init: settings.gate_init,
    gate_spread: layers ? settings.layer_spread : settings.gate_spread,
    weight_scale: settings.weight_scale,
    flow: { tau_w, tau_c, dt, a, b, k: Number(settings.norm) },
    noise,
    every: spacing(schedule.edges),
    criterion: criterionOf(settings),
    same: alignmentOfSame(
      met.map((m) => ofParts[m]),
      settings.correlation,
    ),
    block:
      inTheRatchet && settings.paths > 1 && settings.paths <= ofParts.length && settings.norm === "1" && b > 0
        ? settings.block_length
        : null,
  };
}

/** A number as a message of the library has it, with a few digits. @param {number} value @param {number} digits */
const short = (value, digits = 3) => String(Number(value.toPrecision(digits)));

/** A number as Python writes it where it is no whole one by its kind. @param {number} value */
const asFloat = (value) => (Number.isInteger(value) ? `${value}.0` : String(value));

/**
 * What the library would say of settings that it refuses, by the name of the control. With noise, which is part of its loss,
 * the library allows a criterion that is refused here, where the loss is that on all inputs.
 * @param {Settings} settings
 */
export function refusalsOf(settings) {
  const { d_in, d_out, dt, tau_c, b, norm, student, curriculum, block_length, duration } = settings;
  const ofParts = tasksOf(settings),
    [count, parts] = [ofParts.length, ofParts[0].length];
  const refusals = /** @type {Record<string, string>} */ ({});
  if (settings.made === MADE[1] && !mixturesOf(settings.mix))
    refusals.mix =
      "Write 2 to 5 different tasks, each of parts from 1 to 5 of which none is left out, such as 1 2 1+2.";
  const needed = parts * d_out;
  if (d_in < needed)
    refusals.d_in = `d_in = ${d_in}: orthogonal teachers need d_in >= tasks * d_out = ${parts} * ${d_out} = ${needed}. Use d_in = ${needed} or more, or fewer tasks or outputs.`;
  const gates =
    student === "two layers" ? settings.hidden * d_out : settings.paths * (student === STUDENTS[0] ? 1 : d_out);
  const stiffness = norm === "1" ? b * gates : b,
    longest = (2 * tau_c) / stiffness;
  if (dt >= longest)
    refusals.dt = `dt = ${dt}: gates under these penalties are stable only for dt < 2 tau_c / stiffness = ${short(longest)}. Reduce dt, weaken the penalty, or slow the gates.`;
  const lengths = /** @type {[string, string, number][]} */ ([]); // control, name in the library, length
  if (curriculum === "a round of your own") {
    const round = roundOf(settings.round, count);
    if (!round)
      refusals.round = `Name every task from A to ${"ABCDE"[count - 1]}, each with a length, such as A1 B0.5.`;
    const long = (round ?? []).reduce((sum, [, length]) => sum + length, 0);
    if (long > LONGEST)
      refusals.round = `A round of ${short(long)} time units: there is room for ${LONGEST}. Use shorter blocks.`;
    for (const [, length] of round ?? []) lengths.push(["round", "block_length", length]);
  } else if (curriculum === "at random moments") {
    if (block_length < dt)
      refusals.block_length = `mean_length = ${block_length}: must be at least one step, dt = ${dt}. Use a longer one, or a shorter dt.`;
    lengths.push(["duration", "duration", duration]);
  } else {
    lengths.push(["block_length", "block_length", block_length]);
    if (curriculum === "the last one rare") lengths.push(["rare", "block_length", settings.rare]);
    else if (curriculum === "in turn") lengths.push(["duration", "duration", duration]);
    else for (const share of [PRACTICE, 1 - PRACTICE]) lengths.push(["duration", "duration", share * duration]);
  }
  for (const [control, name, length] of lengths) {
    const steps = length / dt,
      whole = Math.round(steps) >= 1 && Math.abs(steps - Math.round(steps)) <= 1e-6 * Math.round(steps);
    const nearest = [...new Set([Math.max(1, Math.floor(steps)), Math.floor(steps) + 1])];
    if (!whole)
      refusals[control] ??=
        `${name} = ${asFloat(length)} with dt = ${dt}: it must be a whole number of steps, this one has ${short(steps, 6)}. Use ${nearest.map((n) => short(n * dt, 6)).join(" or ")}, or another dt.`;
  }
  const mixed = curriculum === "practice, then mixtures",
    theta = criterionOf(settings);
  const all = [...ofParts, ...(mixed ? mixturesOfTasks(ofParts) : [])];
  const silent = leastOf(all, settings.correlation) * silentLossOf(settings);
  if (theta >= silent)
    refusals.criterion = `theta = ${theta}: giving no answer at all has a loss of ${short(silent)} on one of the tasks, which would count as recovered. Use a criterion of this task's own scale, such as ${short(0.4 * silent, 2)}.`;
  return refusals;
}
