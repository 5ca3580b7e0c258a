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
 * @typedef {{chart: (run: Run, before: string) => Chart | null, drawing: (run: Run) => Drawing | null}} Kind
 *   `chart`: without curves, with the name of the run `before` its title, null where settings have none; `drawing`: null
 *   of what is not there yet
 * @typedef {{chart: Chart, drawing: Drawing | null}} Shown one chart of a run, and what it shows now
 */

/** A round number that is not below. @param {number} value */
function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value) - 0.3);
  return Number((unit * Math.ceil(value / unit - 1e-9)).toPrecision(3));
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

/** What is drawn over time, at frames. @param {Run} run */
const overTime = ({ plan, frames }) => ({
  ends: /** @type {[string, string, string]} */ (["0", "time", number(plan.tasks.length * plan.flow.dt, 1)]),
  tasks: frames,
  x: "time",
  from: 0,
  step: plan.every * plan.flow.dt,
});

/** Medians, between quantiles, over networks. @param {Record<string, Series[]>} rows of each network, by what they are */
const banded = (rows) => {
  const found = Object.values(rows).map(quantilesOf);
  const bands = /** @type {[Series, Series][]} */ (found.map(({ low, high }) => [low, high]));
  return { names: Object.keys(rows), series: found.map(({ middle }) => middle), bands };
};

/** @param {Run} run */
const hasLayers = ({ plan }) => plan.student === "two layers";

/** @param {Run} run @param {Series[]} all @returns {[number, number]} */
const rangeOfGates = (run, all) => [bottom(all, -0.1), roundUp(top(all, hasLayers(run) ? 0.1 : 1.1))];

const MEDIAN = [{ style: "ink", words: "median, middle 80 %" }];

/** The charts of a run, by name: two of one network, the others of all. @type {Record<string, Kind>} */
export const KINDS = {
  loss: {
    chart: ({ values }, before) => new Chart("loss", `${before}Loss of network ${values.network}`, [{ style: "ink" }]),
    drawing(run) {
      const { one, plan, shown } = run;
      if (!one?.loss || one.failed) return null;
      return {
        ...overTime(run),
        names: [`loss of network ${one.seed}`],
        series: [one.loss],
        range: [0, roundUp(top([one.loss], 0.01))],
        words: "Loss of one network over time.",
        tasks: shown,
        step: plan.flow.dt,
      };
    },
  },
  gates: {
    chart(run, before) {
      const { plan } = run,
        spare = plan.student === STUDENTS[0] ? Math.max(0, plan.units - plan.met.length) : 0;
      return new Chart("gates", `${before}Its ${hasLayers(run) ? "second layer" : "gates"}, by the task served`, [
        ...Array.from({ length: plan.components }, (_, task) => ({ style: `task-${task}`, words: letter(task) })),
        ...Array.from({ length: spare }, (_, n) => ({ style: "muted dashed", words: n === 0 ? "no task" : "" })),
      ]);
    },
    drawing(run) {
      const { one, plan } = run;
      if (!one?.loss || one.failed) return null;
      const of = (/** @type {number} */ n) =>
        n < plan.components ? letter(n) : `no task (${n - plan.components + 1})`;
      return {
        ...overTime(run),
        names: one.gates.map((_, n) => `gate of ${of(n)} in network ${one.seed}`),
        series: one.gates,
        range: rangeOfGates(run, one.gates),
        words: "Gates of one network over time, by the task that they serve.",
      };
    },
  },
  times: {
    chart: (_, before) => new Chart("recovery", `${before}Time to recover, by block`, MEDIAN),
    drawing({ plan, whole }) {
      if (whole.length === 0) return null;
      const lengths = plan.edges.slice(1).map((edge, block) => (edge - plan.edges[block]) * plan.flow.dt),
        longest = Math.max(...lengths);
      // where the loss stays above, no block should seem quicker than one in which it does not
      const shown = (/** @type {number[]} */ each) =>
        each.map((time, block) => (time < 0.999 * lengths[block] ? time : longest));
      // a single block is drawn as a line
      const twice = (/** @type {number[]} */ each) => (each.length > 1 ? each : [each[0], each[0]]);
      const times = banded({ "time to recover": whole.map((each) => twice(shown(each.recoveries))) });
      return {
        ...times,
        range: [0, roundUp(top([times.bands[0][1]], plan.flow.dt))],
        words: `Time until the loss is below ${plan.criterion}, over blocks, median and middle 80 % of networks.`,
        ends: ["block 1", "", `block ${plan.edges.length - 1}`],
        x: "block",
        from: 1,
        step: 1,
      };
    },
  },
  opening: {
    chart: (_, before) =>
      new Chart("opening", `${before}Gates of all`, [
        { style: "flexible", words: "of the task on" },
        { style: "muted", words: "others" },
      ]),
    drawing(run) {
      const { whole } = run;
      if (whole.length === 0) return null;
      const opening = banded({
        "gate of the task on": whole.map((each) => each.on),
        "other gates": whole.map((each) => each.off),
      });
      return {
        ...overTime(run),
        ...opening,
        range: rangeOfGates(run, opening.bands.flat()),
        words: "The gate of the task that is on, and the others, over time, median and middle 80 % of networks.",
      };
    },
  },
  apart: {
    chart: (run, before) =>
      run.plan.units > 1
        ? new Chart("specialization", `${before}${hasLayers(run) ? "Alignment" : "How far apart"}`, MEDIAN)
        : null,
    drawing(run) {
      const { whole } = run;
      if (whole.length === 0) return null;
      const apart = banded({ [hasLayers(run) ? "alignment" : "specialization"]: whole.map((each) => each.apart) });
      return {
        ...overTime(run),
        ...apart,
        range: [bottom([apart.bands[0][0]], 0), roundUp(top([apart.bands[0][1]], 1.1))],
        words: hasLayers(run)
          ? "How far units are aligned with the outputs of tasks, over time."
          : "How far paths are apart, relative to tasks, over time.",
      };
    },
  },
  share: {
    chart: (run, before) =>
      hasLayers(run) || run.plan.units > run.plan.components
        ? null // paths that serve no task stay where they are
        : new Chart("share", `${before}Share with paths apart`, [
            { style: "ink", words: "learned" },
            ...(run.plan.block === null ? [] : [{ style: "flexible dashed", words: "ratchet" }]),
          ]),
    drawing(run) {
      const { plan, whole, frames } = run,
        over = overTime(run);
      if (whole.length === 0) return null;
      const soFar = (/** @type {number[]} */ times) =>
        Float64Array.from(frames, (_, n) => times.filter((time) => time <= n * over.step).length / whole.length);
      const byRatchet = whole.flatMap((each) => (each.ratchet ? [each.ratchet.specialized] : []));
      const known = plan.block !== null && byRatchet.length === whole.length;
      return {
        ...over,
        names: ["share with paths apart", ...(known ? ["the same by the ratchet"] : [])],
        series: [soFar(whole.map((each) => each.specialized)), ...(known ? [soFar(byRatchet)] : [])],
        range: [0, 1.05],
        words: "The share of networks whose paths have come apart, over time.",
        tasks: undefined,
      };
    },
  },
};

/** The charts that settings have. @param {Run} run @param {string} before their titles @returns {Record<string, Shown>} */
export const chartsOf = (run, before) =>
  Object.fromEntries(
    Object.entries(KINDS).flatMap(([name, kind]) => {
      const chart = kind.chart(run, before);
      return chart ? [[name, { chart, drawing: null }]] : [];
    }),
  );

/**
 * Draw one kind of chart for all runs that have it, on the same axes.
 * @param {Kind} kind @param {{run: Run, shown: Shown, told: string}[]} all `told`: what happened in the run, in words
 */
export function drawAlike(kind, all) {
  const drawings = all.map(({ run }) => kind.drawing(run));
  const ranges = drawings.flatMap((drawing) => (drawing ? [drawing.range] : []));
  const range = /** @type {[number, number]} */ ([
    Math.min(...ranges.map(([low]) => low)),
    Math.max(...ranges.map(([, high]) => high)),
  ]);
  drawings.forEach((drawing, n) => {
    const { shown, told } = all[n];
    shown.drawing = drawing;
    if (drawing) shown.chart.draw(drawing.series, range, { ...drawing, words: `${drawing.words} ${told}` });
  });
}
