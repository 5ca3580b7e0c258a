// @ts-check
/** Runs: many networks of one setting, learning in all workers that there are, and what happened to them, in words. */
import { planOf } from "./experiment.js";
import { SPECIALIZED, number } from "./parts.js";

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
    this.values = values;
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

/** What happened, in words that are true in every case. @param {Run} run */
export function said({ plan, values, networks, whole, done }) {
  const failed = networks.length - whole.length;
  if (whole.length === 0)
    return failed > 0
      ? `In ${failed === 1 ? "one network" : `all ${failed} networks`}${done ? "" : " so far"} numbers grow without bounds: the steps are too long for them. Use a smaller dt.`
      : "Learning …";
  const all = whole.length,
    count = (/** @type {number} */ some) =>
      some === all
        ? all === 1
          ? "The network"
          : `All ${all} networks`
        : `${some === 0 ? "None" : some} of ${all} ${all === 1 ? "network" : "networks"}`;
  const parts = [];
  const flexible = whole.filter((each) => each.aligned > SPECIALIZED).length;
  const ends = all === 1 || (flexible === 1 && all > 1) ? "ends" : "end";
  parts.push(
    `${count(flexible)} ${ends} with a ${plan.student === "two layers" ? "unit for each output of each task" : "path for each task"} (alignment above ${SPECIALIZED})`,
  );
  if (plan.parts > 0) {
    const held = whole.filter((each) => each.withParts > SPECIALIZED).length;
    parts[0] += `, ${held === 0 ? "none" : held === all && all > 1 ? "all" : held} with one for each part`;
  }
  const times = whole.map((each) => each.specialized).filter(Number.isFinite);
  if (times.length > 0)
    parts[0] += `; paths come half as far apart as tasks ${times.length < all ? `in ${times.length}, ` : ""}at a median time of ${number(medianOf(times), 1)}`;
  const recover = (/** @type {number} */ block) => medianOf(whole.map((each) => each.recoveries[block]));
  const blocks = plan.edges.length - 1,
    took = (/** @type {number} */ block) => {
      const time = recover(block),
        long = (plan.edges[block + 1] - plan.edges[block]) * plan.flow.dt;
      return time < 0.999 * long ? number(time) : "more than the block";
    };
  parts.push(
    `Time until the loss is below ${plan.criterion}: ${took(0)} in ${blocks > 1 ? `the first block, ${took(blocks - 1)} in the last of ${blocks}` : "the only block"} (median)`,
  );
  if (plan.block !== null && whole.every((each) => each.ratchet)) {
    const by = whole.filter((each) => Number.isFinite(each.ratchet?.specialized)).length;
    const across = whole.every((each) => each.crossing !== null)
      ? `, the closed form says it of ${whole.filter((each) => (each.crossing ?? 0) >= 1).length}`
      : "";
    parts.push(`The ratchet says that paths come apart in ${by}${across}`);
  }
  if (failed > 0) parts.push(`${failed} more grew without bounds`);
  if (!done) parts.push(`${networks.length} of ${values.seeds} have learned so far`);
  return `${parts.join(". ")}.`;
}
