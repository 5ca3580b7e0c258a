// @ts-check
/** Beside the data: a session of trials as an experimenter would plot it, after more or less practice. */
import { Explorer, filled } from "./explorer.js";
import { boundaries, inTurn, learn, stepsOf } from "./model.js";
import { Chart, html, linear, number } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

const TRIALS = 200,
  SHOWN = 10; // in a session, and after a switch

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { start, flow, block_length, code } = model.get("state");
    const whole = new Chart("session", "Error on each trial", [
      { style: "flexible", words: "flexible" },
      { style: "forgetful", words: "forgetful" },
    ]);
    const after = new Chart("after", "Error by trial after a switch", [{ style: "flexible" }, { style: "forgetful" }]);
    const cost = new Chart("practice", "Error on trials 2 to 5, over practice", [
      { style: "flexible" },
      { style: "forgetful" },
    ]);
    const kinds = [flow, { ...flow, tau_c: flow.tau_w, a: 0, b: 0 }];
    const mean = (/** @type {number[]} */ values) => values.reduce((sum, each) => sum + each, 0) / values.length;

    const update = (/** @type {Values} */ values) => {
      const block = values.block,
        before = values.practice * stepsOf(block_length, flow.dt);
      const tasks = new Uint8Array(before + TRIALS);
      tasks.set(inTurn(before, stepsOf(block_length, flow.dt)));
      // the session goes on with the other task
      const turn = inTurn(TRIALS, block, before > 0 ? [1 - tasks[before - 1], tasks[before - 1]] : [0, 1]);
      tasks.set(turn, before);
      const runs = kinds.map((kind) => learn(start, kind, tasks));
      const edges = boundaries(tasks).slice(1, -1),
        inside = edges.filter((edge) => edge >= before);
      const curves = runs.map((run) =>
        Array.from({ length: Math.min(SHOWN, block) }, (_, n) =>
          mean(inside.filter((edge) => edge + n < tasks.length).map((edge) => run.loss[edge + n])),
        ),
      );
      const trained = edges.filter((edge) => edge <= before);
      const practice = runs.map((run) =>
        trained.map((edge) => mean(Array.from(run.loss.subarray(edge + 1, edge + 5)))),
      );
      const told =
        inside.length > 0
          ? `After ${values.practice} blocks of practice, errors on the first trial after a switch: flexible ${number(curves[0][0])}, forgetful ${number(curves[1][0])}; on trial 5: ${number(curves[0][Math.min(4, block - 1)])} and ${number(curves[1][Math.min(4, block - 1)])}.`
          : "There is no switch in this session.";
      whole.draw(
        runs.map((run) => run.loss.subarray(before)),
        [0, 0.6],
        { words: `Error on each trial. ${told}`, tasks: turn, ends: ["trial 1", "", `trial ${TRIALS}`] },
      );
      after.draw(
        curves.map((curve) => (curve.length > 1 ? curve : [...curve, ...curve])),
        [0, 0.6],
        {
          words: `Mean error by trial after a switch. ${told}`,
          ends: ["trial 1", "", `trial ${Math.min(SHOWN, block)}`],
        },
      );
      cost.draw(practice, [0, 0.4], {
        words: "Mean error on trials 2 to 5 after each switch, from the first to the last of practice.",
        ends:
          trained.length > 1 ? ["switch 1", "", `switch ${trained.length}`] : ["", "too little practice to show", ""],
      });
      return told;
    };

    new Explorer(el, {
      label: "A session of trials",
      values: { practice: 10, block: 20 },
      presets: {
        "no practice": { practice: 0 },
        practised: {},
        "long practice": { practice: 40 },
        "quick blocks": { block: 5 },
      },
      controls: {
        practice: { words: "Blocks of practice before", scale: linear(0, 50, 1), told: String },
        block: { words: "Trials in a block of the session", scale: linear(1, 60, 1), told: String },
      },
      plots: [
        html("div", { class: "charts wide" }, whole.panel),
        html("div", { class: "pair" }, after.panel, cost.panel),
      ],
      update,
      code: ({ practice, block }) => {
        const length = (/** @type {number} */ trials) => Number((trials * flow.dt).toPrecision(6));
        const order = practice % 2 === 0 ? "(0, 1)" : "(1, 0)";
        const test = `gl.Blocked(duration=${length(TRIALS)}, block_length=${length(block)}, order=${order})`;
        const training = `gl.Blocked(blocks=${practice}, block_length=${block_length})`;
        return filled(code, { curriculum: practice > 0 ? `gl.Phases((${training}, ${test}))` : test });
      },
    });
  },
};
