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
 * The last block of each task that the end has not cut short, if it has another one: of tasks that are practised, and of
 * mixtures that follow.
 * @param {import("./experiment.js").Plan} plan @returns {{practised: number[], mixed: number[]}} numbers of blocks
 */
function lastBlocks({ tasks, edges, cut, components }) {
  const last = new Map(),
    all = edges.slice(0, -1).map((edge, block) => /** @type {[number, number]} */ ([tasks[edge], block]));
  for (const [task, block] of all) if (!cut.includes(block) || !last.has(task)) last.set(task, block);
  const of = (/** @type {(task: number) => boolean} */ kind) =>
    [...last].flatMap(([task, block]) => (kind(task) ? [block] : []));
  return { practised: of((task) => task < components), mixed: of((task) => task >= components) };
}

/** The median; infinite where it lies between two of which one is. @param {number[]} values */
function middleOf(values) {
  const sorted = [...values].sort((one, other) => (one < other ? -1 : 1)),
    [below, above] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return above === Infinity ? Infinity : (below + above) / 2;
}

/** Times in words: the least and the most of them. @param {number[]} times infinite where the loss stays above */
function inWords(times) {
  const one = (/** @type {number} */ time) =>
    time === Infinity ? "not at all" : time === 0 ? "no time" : time < 0.005 ? "less than 0.01" : number(time);
  const [least, most] = [Math.min(...times), Math.max(...times)].map(one);
  return least === most ? least : `${least} to ${most}`;
}

/** The interval of 95 % for a share, by Wilson's formula. @param {number} some @param {number} all */
function intervalOf(some, all) {
  const square = 1.959964 ** 2,
    middle = (some + square / 2) / (all + square);
  const half = (Math.sqrt(square) / (all + square)) * Math.sqrt((some * (all - some)) / all + square / 4);
  return [some === 0 ? 0 : middle - half, some === all ? 1 : middle + half].map((share) => number(share)).join(" to ");
}

/** How many networks end with a path for each task, in words. @param {Run} run */
function pathsInWords({ plan, whole }) {
  const all = whole.length,
    [what, part] =
      plan.student === "two layers"
        ? ["unit for each output of each task", "output of each part"]
        : ["path for each task", "part"];
  const length = number(plan.tasks.length * plan.flow.dt, 1).replace(".0", ""),
    after = `after ${length} time ${length === "1" ? "unit" : "units"}`;
  const never = Array.from({ length: plan.components }, (_, m) => m).filter((m) => !plan.met.includes(m));
  const without =
    never.length > 0
      ? `; ${never.length > 1 ? "tasks" : "task"} ${never.map(letter).join(", ")} never came and ${never.length > 1 ? "do" : "does"} not count`
      : "";
  const typical = number(medianOf(whole.map((each) => each.aligned)));
  if (plan.met.length === 1) return `Only task ${letter(plan.met[0])} came: there is nothing to tell apart`;
  if (plan.same > SPECIALIZED)
    return `Tasks are so much alike that paths which are all the same have an alignment of ${number(plan.same)}: it does not tell whether each task has one of its own (median ${typical} ${after})${without}`;
  const flexible = whole.filter((each) => each.aligned > SPECIALIZED).length,
    held = whole.filter((each) => each.withParts > SPECIALIZED).length;
  if (all === 1) {
    const parts =
      plan.parts === 0 ? "" : `, ${held === flexible ? "and" : "but"} ${held ? "" : "not "}with one for each ${part}`;
    return `The network ${flexible === 1 ? "ends" : "does not end"} with a ${what} ${after} (alignment ${typical}, and it takes ${SPECIALIZED})${parts}${without}`;
  }
  const some =
    flexible === all ? (all === 2 ? "Both" : `All ${all}`) : `${flexible === 0 ? "None" : flexible} of ${all}`;
  const parts =
    plan.parts === 0 ? "" : `, ${held === 0 ? "none" : held === all ? "all" : held} with one for each ${part}`;
  return `${some} networks ${flexible === 1 ? "ends" : "end"} with a ${what} ${after} (alignment above ${SPECIALIZED}; median ${typical}; 95 % interval of the share ${intervalOf(flexible, all)})${parts}${without}`;
}

/** How soon networks recover, in words. @param {Run} run */
function timesInWords({ plan, values, whole }) {
  const recover = (/** @type {number} */ block) => {
    const length = (plan.edges[block + 1] - plan.edges[block]) * plan.flow.dt;
    return middleOf(whole.map(({ recoveries }) => (recoveries[block] < 0.999 * length ? recoveries[block] : Infinity)));
  };
  const { practised, mixed } = lastBlocks(plan),
    lately = practised.map(recover),
    first = plan.tasks.findIndex((task) => task >= plan.components);
  const took = [`${inWords([recover(0)])} in the first block`, `${inWords(lately)} in the last block of each task`];
  if (mixed.length > 0) {
    took.push(`${inWords([recover(plan.edges.indexOf(first))])} in the first of a mixture`);
    took.push(`${inWords(mixed.map(recover))} in the last of each mixture`);
  }
  const idle = lately.every((time) => time === 0) ? ". A switch does not raise it so far" : "";
  const smallest = plan.parts > 0 ? " to the smallest task" : "";
  return `Median time until the loss is below ${plan.criterion} (${values.criterion} of that of no answer${smallest}): ${took.join(", ")}${idle}`;
}

/** What happened, in words that are true in every case. @param {Run} run */
export function said(run) {
  const { plan, values, networks, whole, done } = run,
    failed = networks.length - whole.length,
    all = whole.length;
  if (all === 0) {
    if (failed === 0) return done ? "No network has learned." : "Learning …";
    const those = failed === 1 ? "one network" : `all ${failed} networks`;
    return `In ${those}${done ? "" : " so far"} numbers grow without bounds: the steps are too long for them. Use a smaller dt.`;
  }
  const parts = [pathsInWords(run)];
  const when = whole.map((each) => each.specialized).filter(Number.isFinite),
    begun = when.filter((time) => time === 0).length;
  const inSome = (/** @type {number} */ some) => (some < all ? ` in ${some}` : "");
  if (begun > 0) parts.push(`Paths are so far apart from the start that distance says nothing${inSome(begun)}`);
  else if (when.length > 0)
    parts.push(
      `Paths come half as far apart as tasks (in squares)${inSome(when.length)}, at a median time of ${number(medianOf(when), 1)}`,
    );
  parts.push(timesInWords(run));
  if (plan.block !== null && begun === 0 && whole.every((each) => each.ratchet)) {
    const by = whole.filter((each) => Number.isFinite(each.ratchet?.specialized)).length;
    const known = whole.every((each) => each.crossing !== null && !Number.isNaN(each.crossing));
    const across = known ? `, the closed form in ${whole.filter((each) => (each.crossing ?? 0) >= 1).length}` : "";
    parts.push(`The ratchet foretells that paths come apart in ${by}${across}`);
  }
  if (failed > 0) parts.push(`${failed} more grew without bounds`);
  if (networks.length < values.seeds)
    parts.push(`${networks.length} of ${values.seeds} have learned${done ? "" : " so far"}`);
  return `${parts.join(". ")}.`;
}
