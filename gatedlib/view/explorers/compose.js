// @ts-check
/** Compose a task: a mixture of trained ones, met by gates alone and by gates and weights. */
import { Explorer, filled } from "./explorer.js";
import { countTurns, learn, stepsOf } from "./model.js";
import { Bars, COARSE, Chart, html, letter, linear, number } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

const CRITERION = 0.02,
  SHOWN = 0.3, // of the loss, and the time that is shown of one time unit
  SEEN = 1 / 340, // of the chart's height: half a pixel
  TEETH = 6; // turns of the loss from which on they are mentioned

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { start, flow, mixture, code } = model.get("state");
    const names = mixture.map((_, task) => letter(task));
    const steps = stepsOf(1, flow.dt),
      tasks = new Uint8Array(steps);
    const loss = new Chart(
      "loss",
      "Loss",
      [
        { style: "flexible", words: "gates alone" },
        { style: "ink dashed", words: "weights too" },
      ],
      { height: 170 },
    );
    const bars = new Bars("gates", "Gates (bars), asked for (rings)", names, [-0.6, 1.6]);
    const asked = (/** @type {Values} */ values) => names.map((name) => values[name]);

    /**
     * Why the loss goes up and down from step to step where that is seen, else nothing.
     * @param {import("./model.js").Run[]} runs @param {number} top of the chart
     */
    const teeth = (runs, top) => {
      const shown = stepsOf(SHOWN, flow.dt);
      const seen = runs.filter(({ loss }) => countTurns(loss.subarray(0, shown), SEEN * top) >= TEETH);
      if (seen.length === 0) return "";
      const crossing = seen.every(({ gates }) =>
        gates.some((gate) => {
          let times = 0;
          for (let t = 1; t < shown; t++) if (gate[t] < 0 !== gate[t - 1] < 0) times++;
          return times >= TEETH;
        }),
      );
      const how = crossing ? ", and carry a gate across zero and back, where the push of penalties jumps" : "";
      return ` The loss has teeth: ${COARSE}${how}.`;
    };

    const update = (/** @type {Values} */ values) => {
      const weights = asked(values);
      const target = start.targets[0].map((row, r) =>
        row.map((_, d) => weights.reduce((sum, each, task) => sum + each * start.targets[task][r][d], 0)),
      );
      const [alone, both] = [Infinity, flow.tau_w].map((tau_w) =>
        learn({ ...start, targets: [target] }, { ...flow, tau_w }, tasks),
      );
      const when = (/** @type {Float64Array} */ values) => {
        const step = values.findIndex((each) => each < CRITERION);
        return step < 0 ? `stays above ${CRITERION}` : `falls below ${CRITERION} after ${number(step * flow.dt, 3)}`;
      };
      const sum = weights.reduce((sum, each) => sum + each, 0);
      const outside = weights.some((each) => each < 0)
        ? " One share is negative."
        : Math.abs(sum - 1) > 0.015 // a third each is rounded
          ? ` The shares add up to ${number(sum)}, not 1.`
          : "";
      const top = Math.max(0.1, Math.ceil(10 * Math.max(alone.loss[0], both.loss[0])) / 10);
      const told = `With gates alone the loss ${when(alone.loss)}; with weights too it ${when(both.loss)}.${outside}${teeth([alone, both], top)}`;
      const gates = alone.final.subarray(alone.final.length - names.length);
      loss.draw(
        [alone, both].map((run) => run.loss.subarray(0, stepsOf(SHOWN, flow.dt))),
        [0, top],
        {
          words: `Loss after the switch to the new task. ${told}`,
          ends: ["the switch", "time", String(SHOWN)],
        },
      );
      bars.draw(Array.from(gates), `The gates at the end, beside what was asked for. ${told}`, weights);
      return told;
    };

    const only = (/** @type {number[]} */ weights) =>
      Object.fromEntries(names.map((name, n) => [name, weights[n] ?? 0]));
    const third = Number((1 / 3).toFixed(2));
    new Explorer(el, {
      label: "Compose a task of your own",
      values: only(mixture),
      presets: {
        "A and B": {},
        "a third each": only(names.map(() => third)),
        "A less half of B": only([1, -0.5]),
        "all of each": only(names.map(() => 1)),
      },
      controls: Object.fromEntries(
        names.map((name) => [
          name,
          { words: `How much of ${name}`, scale: linear(-0.5, 1.5, 0.01), told: (v) => number(v) },
        ]),
      ),
      plots: [html("div", { class: "charts" }, loss.panel), bars.panel],
      update,
      code: (values) => filled(code, { mixture: asked(values) }),
    });
  },
};
