// @ts-check
/** The charts of the bench: of one network, and of all. */
import { STUDENTS } from "./experiment.js";
import { Chart, letter, number } from "./parts.js";
import { quantilesOf } from "./runs.js";

/**
 * @typedef {ArrayLike<number>} Series @typedef {import("./runs.js").Run} Run
 * @typedef {{names: string[], series: Series[], range: [number, number], words: string, ends: [string, string, string],
 *   tasks?: Series, bands?: [Series, Series][], x: string, from: number, step: number}} Drawing
 *   what a chart shows: curves, maybe between the 10 and 90 % quantiles, over a time or a block that begins at `from` and
 *   goes in steps of `step`
 */

const MIXTURE = 9; // the shade of all mixtures

/** A round number that is not below. @param {number} value */
function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value) - 0.3);
  return Number((unit * Math.ceil(value / unit)).toPrecision(3));
}

/** The largest of all numbers in some series, and of one more. @param {Series[]} all @param {number} least */
function top(all, least) {
  let most = least;
  for (const values of all) for (let n = 0; n < values.length; n++) if (values[n] > most) most = values[n];
  return most;
}

/** The smallest. @param {Series[]} all @param {number} most */
const bottom = (all, most) =>
  -top(
    all.map((values) => Array.from(values, (value) => -value)),
    -most,
  );

/**
 * What the charts show of a run, by the name of the chart; nothing of what is not there yet.
 * @param {Run} run @returns {Record<string, Drawing>}
 */
export function drawingsOf({ plan, whole, one }) {
  const { dt } = plan.flow,
    layers = plan.student === "two layers",
    shown = plan.tasks.map((task) => (task < plan.components ? task : MIXTURE));
  const frames = shown.filter((_, t) => t % plan.every === 0);
  const ends = /** @type {[string, string, string]} */ (["0", "time", number(plan.tasks.length * dt, 1)]);
  const overTime = { ends, tasks: frames, x: "time", from: 0, step: plan.every * dt };
  const drawings = /** @type {Record<string, Drawing>} */ ({});
  const gates = (/** @type {Series[]} */ all) =>
    /** @type {[number, number]} */ ([bottom(all, -0.1), layers ? roundUp(top(all, 0.1)) : top(all, 1.1)]);
  if (one?.loss && !one.failed) {
    drawings.loss = {
      ...overTime,
      names: [`loss of network ${one.seed}`],
      series: [one.loss],
      range: [0, roundUp(top([one.loss], 0.01))],
      words: "Loss of one network over time.",
      tasks: shown,
      step: dt,
    };
    const of = (/** @type {number} */ n) => (n < plan.components ? letter(n) : `no task (${n - plan.components + 1})`);
    drawings.gates = {
      ...overTime,
      names: one.gates.map((_, n) => `gate of ${of(n)} in network ${one.seed}`),
      series: one.gates,
      range: gates(one.gates),
      words: "Gates of one network over time, by the task that they serve.",
    };
  }
  if (whole.length === 0) return drawings;
  const banded = (/** @type {Record<string, Series[]>} */ rows) => {
    const found = Object.values(rows).map(quantilesOf);
    const bands = /** @type {[Series, Series][]} */ (found.map(({ low, high }) => [low, high]));
    return { names: Object.keys(rows), series: found.map(({ middle }) => middle), bands };
  };
  // a single block is drawn as a line
  const twice = (/** @type {number[]} */ each) => (each.length > 1 ? each : [each[0], each[0]]);
  const times = banded({ "time to recover": whole.map((each) => twice(each.recoveries)) });
  drawings.times = {
    ...times,
    range: [0, roundUp(top([times.bands[0][1]], dt))],
    words: `Time until the loss is below ${plan.criterion}, over blocks, median and middle 80 % of networks.`,
    ends: ["block 1", "", `block ${plan.edges.length - 1}`],
    x: "block",
    from: 1,
    step: 1,
  };
  const opening = banded({
    "gate of the task on": whole.map((each) => each.on),
    "other gates": whole.map((each) => each.off),
  });
  drawings.opening = {
    ...overTime,
    ...opening,
    range: gates(opening.bands.flat()),
    words: "The gate of the task that is on, and the others, over time, median and middle 80 % of networks.",
  };
  if (plan.units > 1) {
    const apart = banded({ [layers ? "alignment" : "specialization"]: whole.map((each) => each.apart) });
    drawings.apart = {
      ...overTime,
      ...apart,
      range: [bottom([apart.bands[0][0]], 0), top([apart.bands[0][1]], 1.1)],
      words: layers
        ? "How far units are aligned with the outputs of tasks, over time."
        : "How far paths are apart, relative to tasks, over time.",
    };
  }
  if (layers) return drawings;
  const soFar = (/** @type {number[]} */ times) =>
    Float64Array.from(frames, (_, n) => times.filter((time) => time <= n * plan.every * dt).length / whole.length);
  const byRatchet = whole.flatMap((each) => (each.ratchet ? [each.ratchet.specialized] : []));
  const known = plan.block !== null && byRatchet.length === whole.length;
  drawings.share = {
    ...overTime,
    names: ["share specialized", ...(known ? ["share specialized by the ratchet"] : [])],
    series: [soFar(whole.map((each) => each.specialized)), ...(known ? [soFar(byRatchet)] : [])],
    range: [0, 1.05],
    words: "The share of networks that have specialized, over time.",
    tasks: undefined,
  };
  return drawings;
}

/** Charts for one run; which there are depends on its settings. */
export class Charts {
  /** @param {Run} run @param {string} name of the run, where there are two */
  constructor({ values, plan }, name) {
    const before = name ? `${name}: ` : "",
      layers = values.student === "two layers";
    const spare = values.student === STUDENTS[0] ? Math.max(0, values.paths - values.tasks) : 0;
    const ofTasks = Array.from({ length: values.tasks }, (_, task) => ({ style: `task-${task}`, words: letter(task) }));
    const median = [{ style: "ink", words: "median, middle 80 %" }];
    this.drawings = /** @type {Record<string, Drawing>} */ ({});
    /** @type {Record<string, Chart>} */
    this.all = {
      loss: new Chart("loss", `${before}Loss of network ${values.network}`, [{ style: "ink" }]),
      gates: new Chart("gates", `${before}Its ${layers ? "second layer" : "gates"}, by the task served`, [
        ...ofTasks,
        ...Array.from({ length: spare }, (_, n) => ({ style: "muted dashed", words: n === 0 ? "no task" : "" })),
      ]),
      times: new Chart("recovery", `${before}Time to recover, by block`, median),
      opening: new Chart("opening", `${before}Gates of all`, [
        { style: "flexible", words: "of the task on" },
        { style: "muted", words: "others" },
      ]),
    };
    if (plan.units > 1)
      this.all.apart = new Chart("specialization", `${before}${layers ? "Alignment" : "How far apart"}`, median);
    if (!layers)
      this.all.share = new Chart("share", `${before}Share that has specialized`, [
        { style: "ink", words: "learned" },
        ...(plan.block === null ? [] : [{ style: "flexible dashed", words: "ratchet" }]),
      ]);
  }

  /** @param {Record<string, Drawing>} drawings @param {Record<string, Drawing>[]} beside @param {string} told */
  draw(drawings, beside, told) {
    this.drawings = drawings;
    for (const [name, drawing] of Object.entries(drawings)) {
      const ranges = beside.flatMap((each) => (each[name] ? [each[name].range] : []));
      const range = /** @type {[number, number]} */ ([
        Math.min(...ranges.map(([low]) => low)),
        Math.max(...ranges.map(([, high]) => high)),
      ]);
      this.all[name].draw(drawing.series, range, { ...drawing, words: `${drawing.words} ${told}` });
    }
  }
}
