// @ts-check
/** A schedule and an observer: when tasks switch, what gates and an ideal observer make of it, and what it costs. */
import { Explorer, filled } from "./explorer.js";
import { alignment } from "./matching.js";
import {
  atRandom,
  boundaries,
  drawSamples,
  inTurn,
  learn,
  posterior,
  randomNumbers,
  seeSample,
  shares,
  stepsOf,
  teacherLosses,
} from "./model.js";
import { Chart, html, linear, number, ratios, symbol, words } from "./parts.js";
import { Background } from "./worker.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

const WINDOW = 4,
  SHOWN = 40, // the time that is shown, and the steps after a switch
  QUICKLY = 0.05; // the block length where tasks are interleaved

/** One noisy sample at a time, from a seed. @param {any} start @param {any} flow @param {any} tasks @param {number} noise @param {number} seed */
function learnNoisy(start, flow, tasks, noise, seed) {
  const { targets } = start,
    samples = () => drawSamples(randomNumbers(seed).normal, targets[0][0].length, targets[0].length, noise);
  const run = learn(inOneRow(start), flow, tasks, { sample: samples() });
  return { ...run, teacherLosses: teacherLosses(targets, tasks, samples()) };
}

/** Whole matrices with one gate per path, in the form of coordinates. @param {any} start */
function inOneRow({ targets, weights, gates }) {
  const rows = (/** @type {number[][][]} */ matrices) => matrices.map((matrix) => [matrix.flat()]);
  return {
    targets: rows(targets),
    weights: rows(weights),
    gates: gates.map((/** @type {number} */ gate) => [gate]),
    outputs: targets[0].length,
  };
}

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { targets, weights, gates, flow, duration, block_length, noise, code } = model.get("state");
    const { dt } = flow,
      steps = stepsOf(duration, dt),
      window = stepsOf(WINDOW, dt);
    const belief = new Chart("belief", "Belief in task A", [
      { style: "ink", words: "observer" },
      { style: "flexible", words: "gates" },
    ]);
    const after = new Chart("after", "Loss by step after a switch", [
      { style: "ink dashed", words: "first quarter" },
      { style: "ink", words: "last quarter" },
    ]);
    const background = new Background(learnNoisy, [
      drawSamples,
      inOneRow,
      learn,
      randomNumbers,
      seeSample,
      teacherLosses,
    ]);

    /** @type {Record<string, (length: number) => Uint8Array>} */
    const PLANS = {
      "in turn": (/** @type {number} */ length) => inTurn(steps, stepsOf(length, dt)),
      "at random moments": (/** @type {number} */ length) => atRandom(steps, length / dt, randomNumbers(7).uniform),
      "interleaved first": (/** @type {number} */ length) => halves(QUICKLY, length),
      "interleaved last": (/** @type {number} */ length) => halves(length, QUICKLY),
    };
    const halves = (/** @type {number} */ first, /** @type {number} */ second) => {
      const tasks = new Uint8Array(steps),
        half = Math.floor(steps / 2);
      tasks.set(inTurn(half, stepsOf(first, dt)));
      tasks.set(inTurn(steps - half, stepsOf(second, dt)), half);
      return tasks;
    };
    const plan = (/** @type {Values} */ { order, length }) => {
      const half = (/** @type {number} */ each) => `gl.Blocked(duration=${duration / 2}, block_length=${each})`;
      const plans = /** @type {Record<string, string>} */ ({
        "in turn": `gl.Blocked(duration=${duration}, block_length=${length})`,
        "at random moments": `gl.RandomSwitches(duration=${duration}, mean_length=${length})`,
        "interleaved first": `gl.Phases((${half(QUICKLY)}, ${half(length)}))`,
        "interleaved last": `gl.Phases((${half(length)}, ${half(QUICKLY)}))`,
      });
      return plans[order];
    };

    const update = (/** @type {Values} */ values, /** @type {any} */ self) => {
      const tasks = PLANS[values.order](values.length),
        start = { targets, weights, gates };
      self.busy = true;
      const answer = (/** @type {any} */ run) => {
        self.busy = false;
        const edges = boundaries(tasks),
          hazard = (edges.length - 1) / steps;
        const sure = posterior(run.teacherLosses, values.noise, hazard);
        const { order } = alignment(inOneRow(start), run.final);
        // after each step, as the observer: the step's sample has been seen
        const ends = run.final.subarray(-gates.length);
        const open = Array.from(
          { length: steps },
          (_, t) => shares(order.map((path) => (t + 1 < steps ? run.gates[path][t + 1] : ends[path])))[0],
        );
        // the end; or, where alternation would fill the picture, the change to it
        const late = values.order === "interleaved last" ? (steps - window) / 2 : steps - window;
        const wrong = [sure[0], open].map((each) => {
          let errors = 0;
          for (let t = late; t < late + window; t++)
            errors += each[t] === 0.5 ? 0.5 : Number(each[t] > 0.5 !== (tasks[t] === 0));
          return Math.round((100 * errors) / window);
        });
        const curves = [0, 0.75].map((begin) => {
          const blocks = edges.slice(1, -1).map((edge, n) => [edge, edges[n + 2]]);
          const inside = blocks.filter(([edge, stop]) => edge >= begin * steps && stop <= (begin + 0.25) * steps);
          return Array.from({ length: SHOWN }, (_, n) => {
            const losses = inside.filter(([edge, stop]) => edge + n < stop).map(([edge]) => run.loss[edge + n]);
            return losses.length > 0 ? losses.reduce((sum, each) => sum + each, 0) / losses.length : NaN;
          });
        });
        const every = (/** @type {number} */ length) => `every ${stepsOf(length, dt)} steps`;
        const [first, second] =
          values.order === "interleaved first" ? [QUICKLY, values.length] : [values.length, QUICKLY];
        const schedule = values.order.startsWith("interleaved")
          ? `${every(first)}, and from time ${duration / 2} on ${every(second)}`
          : `every ${Math.round(1 / hazard)} steps`;
        const told = `A switch ${schedule}. In the ${WINDOW} time units shown the observer is wrong about the task ${wrong[0]} % of the time, the gates ${wrong[1]} %.`;
        belief.draw([sure[0].subarray(late, late + window), open.slice(late, late + window)], [0, 1], {
          words: `Belief in task A. ${told}`,
          tasks: tasks.subarray(late, late + window),
          ends: [`time ${number(late * dt, 0)}`, "", number((late + window) * dt, 0)],
        });
        after.draw(curves, [0, 0.7], {
          words: `Mean loss by step after a switch, early and late. ${told}`,
          ends: ["the switch", "", `${SHOWN} steps on`],
        });
        self.tell(told);
      };
      background.ask([start, { ...flow, tau_c: values.tau_c }, tasks, values.noise, values.draw], answer);
      return self.status.textContent || "Learning …";
    };

    new Explorer(el, {
      label: "A schedule of tasks, gates and an ideal observer",
      values: { order: "in turn", length: block_length, tau_c: flow.tau_c, noise, draw: 1 },
      controls: {
        order: { words: "Tasks switch", options: Object.keys(PLANS) },
        length: { words: "Block length", scale: linear(0.1, 2.5, 0.1), told: (v) => number(v, 1) },
        tau_c: { words: words("Time constant of the gates, ", symbol("τ", "c")), scale: ratios(0.01, 1), told: String },
        noise: { words: "Noise on the right answers", scale: linear(0.1, 2, 0.1), told: (v) => number(v, 1) },
        draw: { words: "Other samples", scale: linear(1, 20, 1), told: (v) => `number ${v}`, fold: "More" },
      },
      plots: [html("div", { class: "charts wide" }, belief.panel, after.panel)],
      update,
      code: (values) => filled(code, { ...values, curriculum: plan(values) }),
    });
  },
};
