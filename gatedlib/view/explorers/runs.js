// @ts-check
/** Runs: many networks of one setting, learning in all workers that there are, and what happened to them, in words. */
import { planOf } from "./experiment.js";
import { SPECIALIZED, letter, number } from "./parts.js";

/**
 * @typedef {import("./parts.js").Values} Values @typedef {import("./worker.js").Background} Background
 * @typedef {import("./networks.js").Network} Network
 */

const MIXTURE = 9; // the shade of all mixtures

/** The 10, 50 and 90 % quantiles over rows, at each place, of what is known. @param {ArrayLike<number>[]} rows */
export function quantilesOf(rows) {
  const size = rows[0]?.length ?? 0,
    found = [0.1, 0.5, 0.9].map(() => new Float64Array(size).fill(NaN));
  const whole = new Float64Array(rows.length);
  for (let n = 0; n < size; n++) {
    let count = 0;
    for (const row of rows) if (!Number.isNaN(row[n])) whole[count++] = row[n];
    if (count === 0) continue;
    const column = whole.subarray(0, count).sort();
    [0.1, 0.5, 0.9].forEach((share, q) => {
      const at = share * (column.length - 1),
        low = Math.floor(at),
        high = column[Math.min(low + 1, column.length - 1)];
      found[q][n] = column[low] + (at > low ? (at - low) * (high - column[low]) : 0);
    });
  }
  const [low, middle, high] = found;
  return { low, middle, high };
}

/** @param {number[]} values */
const medianOf = (values) => quantilesOf(values.map((value) => [value])).middle[0];

/** Networks of one setting, learning in all workers that there are. */
export class Run {
  /** @param {Values} values */
  constructor(values) {
    this.values = /** @type {Values} */ ({ ...values, network: Math.min(values.network, values.seeds - 1) });
    this.plan = planOf(values);
    const { tasks, components, every } = this.plan;
    /** The task of every step, for its shade; of every frame. */
    this.shown = tasks.map((task) => (task < components ? task : MIXTURE));
    this.frames = this.shown.filter((_, t) => t % every === 0);
    this.networks = /** @type {Network[]} */ ([]);
    this.key = JSON.stringify({ ...values, network: 0 });
    this.done = false;
  }

  /** The network that is looked at, once it has learned. */
  get one() {
    return this.networks.find(({ seed, loss }) => seed === this.values.network && loss);
  }

  /** Those whose numbers stayed within bounds. */
  get whole() {
    return this.networks.filter(({ failed }) => !failed);
  }

  /** Let those networks learn that have not. @param {Background[]} workers @param {() => void} each @param {() => void} done */
  begin(workers, each, done) {
    const there = new Set(this.networks.map(({ seed }) => seed));
    const seeds = Array.from({ length: this.values.seeds }, (_, seed) => seed).filter((seed) => !there.has(seed));
    seeds.sort((one, other) => Number(other === this.values.network) - Number(one === this.values.network));
    let left = Math.min(workers.length, seeds.length);
    if (left === 0) {
      this.done = true;
      return done();
    }
    workers.slice(0, left).forEach((worker, n, { length }) =>
      worker.ask(
        [this.plan, seeds.filter((_, place) => place % length === n), this.values.network],
        (network) => {
          this.networks.push(network);
          each();
        },
        () => {
          if (--left > 0) return;
          this.done = true;
          done();
        },
      ),
    );
  }

  /** Look at another network. @param {Background} worker @param {number} seed @param {() => void} done */
  look(worker, seed, done) {
    this.values = { ...this.values, network: seed };
    if (this.one) return done();
    const put = (/** @type {Network} */ network) =>
      (this.networks = [...this.networks.filter((each) => each.seed !== seed), network]);
    worker.ask([this.plan, [seed], seed], put, done);
  }
}

/**
 * The last block of each task: of those that are practised, and of the mixtures that follow.
 * @param {import("./experiment.js").Plan} plan @returns {{practised: number[], mixed: number[]}} numbers of blocks
 */
function lastBlocks({ tasks, edges, components }) {
  const last = new Map(edges.slice(0, -1).map((edge, block) => [tasks[edge], block]));
  const of = (/** @type {(task: number) => boolean} */ kind) =>
    [...last].flatMap(([task, block]) => (kind(task) ? [block] : []));
  return { practised: of((task) => task < components), mixed: of((task) => task >= components) };
}

/** Times in words: the least and the most of them. @param {number[]} times infinite where the loss stays above */
function times(times) {
  const one = (/** @type {number} */ time) => (time < Infinity ? number(time) : "not at all");
  const [least, most] = [Math.min(...times), Math.max(...times)].map(one);
  if (most === number(0)) return "no time (a switch does not raise it so far)";
  return least === most ? least : `${least} to ${most}`;
}

/** The interval of 95 % for a share, by Wilson's formula. @param {number} some @param {number} all */
function intervalOf(some, all) {
  const square = 1.959964 ** 2,
    middle = (some + square / 2) / (all + square);
  const half = (Math.sqrt(square) / (all + square)) * Math.sqrt((some * (all - some)) / all + square / 4);
  return [some === 0 ? 0 : middle - half, some === all ? 1 : middle + half].map((share) => number(share)).join(" to ");
}

/** What happened, in words that are true in every case. @param {Run} run */
export function said({ plan, values, networks, whole, done }) {
  const failed = networks.length - whole.length,
    all = whole.length;
  if (all === 0)
    return failed > 0
      ? `In ${failed === 1 ? "one network" : `all ${failed} networks`}${done ? "" : " so far"} numbers grow without bounds: the steps are too long for them. Use a smaller dt.`
      : "Learning …";
  const count = (/** @type {number} */ some) =>
    some === all
      ? all === 1
        ? "The network"
        : `All ${all} networks`
      : `${some === 0 ? "None" : some} of ${all} ${all === 1 ? "network" : "networks"}`;
  const flexible = whole.filter((each) => each.aligned > SPECIALIZED).length,
    ends = all === 1 || flexible === 1 ? "ends" : "end";
  const parts = [
    `${count(flexible)} ${ends} with a ${plan.student === "two layers" ? "unit for each output of each task" : "path for each task"} after ${number(plan.tasks.length * plan.flow.dt, 1).replace(".0", "")} time units (alignment above ${SPECIALIZED}; median ${number(medianOf(whole.map((each) => each.aligned)))}${all > 1 ? `; 95 % interval of the share ${intervalOf(flexible, all)}` : ""})`,
  ];
  if (plan.parts > 0) {
    const held = whole.filter((each) => each.withParts > SPECIALIZED).length;
    parts[0] += `, ${held === 0 ? "none" : held === all && all > 1 ? "all" : held} with one for each part`;
  }
  const never = Array.from({ length: plan.components }, (_, m) => m).filter((m) => !plan.met.includes(m));
  if (never.length > 0) parts[0] += `; task ${never.map(letter).join(", ")} never came and does not count`;
  const when = whole.map((each) => each.specialized).filter(Number.isFinite),
    begun = when.filter((time) => time === 0).length;
  const inSome = (/** @type {number} */ some) => (some < all ? ` in ${some}` : "");
  if (begun > 0) parts.push(`Paths are so far apart from the start that distance says nothing${inSome(begun)}`);
  else if (when.length > 0)
    parts.push(
      `Paths come half as far apart as tasks${inSome(when.length)}, at a median time of ${number(medianOf(when), 1)}`,
    );
  const recover = (/** @type {number} */ block) => {
    const time = medianOf(whole.map((each) => each.recoveries[block]));
    return time < 0.999 * (plan.edges[block + 1] - plan.edges[block]) * plan.flow.dt ? time : Infinity;
  };
  const { practised, mixed } = lastBlocks(plan),
    first = plan.tasks.findIndex((task) => task >= plan.components);
  const took = [
    `${times([recover(0)])} in the first block`,
    `${times(practised.map(recover))} in the last block of each task`,
  ];
  if (mixed.length > 0) {
    took.push(`${times([recover(plan.edges.indexOf(first))])} in the first of a mixture`);
    took.push(`${times(mixed.map(recover))} in the last of each mixture`);
  }
  parts.push(
    `Median time until the loss is below ${plan.criterion} (${values.criterion} of that of no answer): ${took.join(", ")}`,
  );
  if (plan.block !== null && begun === 0 && whole.every((each) => each.ratchet)) {
    const by = whole.filter((each) => Number.isFinite(each.ratchet?.specialized)).length;
    const across = whole.every((each) => each.crossing !== null)
      ? `, the closed form in ${whole.filter((each) => (each.crossing ?? 0) >= 1).length}`
      : "";
    parts.push(`The ratchet foretells that paths come apart in ${by}${across}`);
  }
  if (failed > 0) parts.push(`${failed} more grew without bounds`);
  if (!done) parts.push(`${networks.length} of ${values.seeds} have learned so far`);
  return `${parts.join(". ")}.`;
}
