// @ts-check
/** Regimes: block length, gate speed and penalties; the loss, the gates and the recovery of one network. */
import { Explorer, filled } from "./explorer.js";
import { alignment } from "./matching.js";
import { inTurn, learn, recoveries, stepsOf } from "./model.js";
import { Chart, Gates, html, kind, linear, number, ratios, symbol, took, words } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { start, flow, duration, block_length, code } = model.get("state");
    const loss = new Chart("loss", "Loss", [{ style: "ink" }]);
    const opening = new Gates("Gates");
    const times = new Chart("recovery", "Time to recover, switch by switch", [{ style: "ink" }], { height: 70 });

    const settings = (/** @type {Values} */ values) => ({
      tau_c: values.tau_c,
      a: Number((values.strength * flow.a).toPrecision(6)),
      b: Number((values.strength * flow.b).toPrecision(6)),
    });

    const update = (/** @type {Values} */ values, /** @type {any} */ self) => {
      const block = stepsOf(values.block_length, flow.dt),
        tasks = inTurn(stepsOf(duration, flow.dt), block);
      const run = learn(start, { ...flow, ...settings(values) }, tasks);
      self.run = run;
      const found = alignment(start, run.final);
      const recovery = recoveries(run.loss, tasks, flow.dt).slice(1, Math.floor(tasks.length / block));
      const last = recovery[recovery.length - 1] ?? NaN;
      const told =
        `${kind(found.cosine, last, values.block_length)} in the end (alignment ${number(found.cosine)}). ` +
        (recovery.length > 0
          ? `Time until the loss is below 0.1, at the last switch: ${took(last, values.block_length)}.`
          : "There is no switch in this time.");
      const ends = /** @type {[string, string, string]} */ (["0", "time", String(duration)]);
      loss.draw([run.loss], [0, 0.6], { words: `Loss over time. ${told}`, tasks });
      opening.follow(run, found, { words: "The two gates over time.", ends });
      times.draw([recovery.length > 1 ? recovery : [last, last]], [0, Math.max(values.block_length, 0.1)], {
        words: `Time to recover at each switch. ${told}`,
        ends: ["switch 1", "", `switch ${recovery.length}`],
      });
      return told;
    };

    new Explorer(el, {
      label: "Block length, gate speed and penalties",
      values: { block_length, tau_c: flow.tau_c, strength: 1 },
      presets: {
        flexible: {},
        "slow gates": { tau_c: flow.tau_w },
        "short blocks": { block_length: 0.1 },
        "no penalties": { strength: 0 },
      },
      controls: {
        block_length: { words: "Block length", scale: linear(0.05, 3, 0.05), told: (v) => number(v) },
        tau_c: {
          words: words("Time constant of the gates, ", symbol("τ", "c")),
          scale: ratios(flow.tau_w / 150, 1.25 * flow.tau_w),
          told: (v) => `${v} (weights: ${flow.tau_w})`,
        },
        strength: { words: "Strength of the penalties", scale: linear(0, 1.5, 0.05), told: (v) => `× ${number(v)}` },
      },
      plots: [html("div", { class: "charts wide" }, loss.panel, opening.panel, times.panel)],
      update,
      code: (values) => filled(code, { ...values, ...settings(values) }),
    });
  },
};
