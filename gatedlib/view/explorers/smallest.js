// @ts-check
/** The smallest network: two paths, two gates, in the plane of two teachers, live; maybe with what it conserves. */
import { Explorer, filled } from "./explorer.js";
import { alignment } from "./matching.js";
import { invariant, inTurn, learn, randomNumbers, recoveries, stepsOf } from "./model.js";
import {
  Chart,
  Gates,
  Plane,
  SPECIALIZED,
  Transport,
  highest,
  html,
  kind,
  letter,
  linear,
  lowest,
  number,
  ratios,
  symbol,
  took,
  words,
} from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

const EARLY = 3, // the switch that the last one is compared with, once first weights are forgotten
  START = "Where it starts",
  WHILE = 2, // time units over which the plane shows where paths have been
  TRAIL = 60; // points of that

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { teacher, flow, duration, gates, block_length, weights, code, conserved } = model.get("state");
    const { tau_w, dt } = flow;
    const first = {
      tau_c: flow.tau_c,
      a: flow.a,
      b: flow.b,
      block_length,
      held: 0,
      gate1: gates[0],
      gate2: gates[1],
      draw: 0,
    };
    const loss = new Chart("loss", "Loss", [{ style: "ink" }]);
    const opening = new Gates("Gates");
    const kept = new Chart("invariant", words("Invariant ", symbol("I", "12"), " ÷ ", symbol("τ", "c")), [
      { style: "ink" },
    ]);
    const charts = conserved ? [loss, opening, kept] : [loss, opening];
    const plane = new Plane("What the paths hold", "lately");

    /** @type {import("./model.js").Run} */
    let run,
      colors = [0, 1];

    const begin = (/** @type {Values} */ values) => {
      // a new draw: what a matrix of the size that the paper starts from has in the direction of each teacher
      const { normal } = randomNumbers(values.draw);
      const small =
        values.draw === 0 ? weights : weights.map((path) => path.map(() => (0.01 * normal()) / Math.sqrt(20)));
      return small.map((path, p) =>
        path.map((each, m) => Number((each + (p === m ? values.held * teacher : 0)).toFixed(6))),
      );
    };

    const update = (/** @type {Values} */ values, /** @type {any} */ self) => {
      const { tau_c, a, b, block_length, gate1, gate2 } = values;
      const start = {
        targets: [[[teacher, 0]], [[0, teacher]]],
        weights: begin(values).map((path) => [path]),
        gates: [[gate1], [gate2]],
      };
      const tasks = inTurn(stepsOf(duration, dt), stepsOf(block_length, dt));
      run = learn(start, { tau_w, tau_c, a, b, dt }, tasks, { keepWeights: true });
      self.run = run;
      const found = alignment(start, run.final),
        { cosine, order } = found;
      const times = recoveries(run.loss, tasks, dt).slice(1, Math.floor(duration / block_length + 1e-6));
      const last = times[times.length - 1] ?? NaN;
      const said = [
        `${kind(cosine, last, block_length)} in the end: ${holding(cosine)} (alignment ${number(cosine)}).`,
      ];
      if (times.length > EARLY)
        said.push(
          `Time until the loss is below 0.1: ${took(times[EARLY - 1], block_length)} at switch ${EARLY}, ${took(last, block_length)} at the last.`,
        );
      colors = order[0] === 0 ? [0, 1] : [1, 0];
      const ends = /** @type {[string, string, string]} */ (["0", "time", String(duration)]);
      loss.draw([run.loss], [0, 0.6], { words: `Loss over time. ${said.join(" ")}`, tasks });
      opening.follow(run, found, {
        words: "The two gates over time; the task that is on is shaded behind.",
        ends: conserved ? undefined : ends,
      });
      if (conserved) {
        const values = invariant(run, { tau_w, tau_c, dt });
        const low = Math.min(-1, Math.floor(lowest(values)));
        const closed = run.loss.findIndex((_, t) => Math.min(run.gates[0][t], run.gates[1][t]) <= 0);
        said.push(closed < 0 ? "No gate reaches zero." : `A gate first reaches zero at time ${number(closed * dt)}.`);
        kept.draw([values], [low, Math.max(1, Math.ceil(highest(values)))], {
          words: `The invariant over time. ${said[said.length - 1]}`,
          tasks,
          ends,
        });
        self.closed = closed;
      }
      transport.show(transport.time);
      return said.join(" ");
    };

    /** What the paths hold at the end, in words. @param {number} cosine */
    const holding = (cosine) => {
      if (cosine > SPECIALIZED) return "each path holds one task";
      const ends = [0, 1].map((p) => [0, 1].map((m) => run.weights[2 * p + m][run.steps - 1]));
      const only = ends.map(([a, b]) => (Math.abs(a) > 5 * Math.abs(b) ? 0 : Math.abs(b) > 5 * Math.abs(a) ? 1 : -1));
      return only[0] >= 0 && only[0] === only[1] ? `both paths hold task ${letter(only[0])}` : "the paths are mixed";
    };

    const show = (/** @type {number} */ time) => {
      const t = Math.min(run.steps - 1, Math.floor(time / dt + 1e-6)),
        task = letter(run.tasks[t]);
      for (const chart of charts) chart.at(time / duration);
      const heldAt = (/** @type {number} */ t) =>
        [0, 1].map((p) => [0, 1].map((m) => run.weights[2 * p + m][t] / teacher));
      const held = heldAt(t),
        lately = Array.from({ length: TRAIL }, (_, n) =>
          heldAt(Math.max(0, t - Math.round(((TRAIL - n) * WHILE) / TRAIL / dt))),
        );
      const words =
        `The plane of the two tasks at time ${number(time)}: the weights of both paths, strong where the gate is open,` +
        ` and a dot for what the network computes. Task ${task} is on.`;
      plane.at(
        held,
        run.gates.map((each) => each[t]),
        colors,
        words,
        [0, 1].map((p) => lately.map((each) => each[p])),
      );
      transport.at(time, `time ${number(time)}, task ${task}`);
    };
    const transport = new Transport(duration, show, (time) => {
      const block = explorer.values.block_length;
      return block * (Math.floor(time / block + 1e-6) + 1);
    });

    const timesFaster = (/** @type {number} */ tau_c) =>
      words(
        `${Number((tau_w / tau_c).toPrecision(2))} × weights, `,
        ...[symbol("τ", "c"), " ÷ ", symbol("τ", "w")],
        ` = ${Number((tau_c / tau_w).toPrecision(2))}`,
      );
    const two = (/** @type {number} */ value) => number(value),
      three = (/** @type {number} */ value) => number(value, 3);
    /** @type {Explorer} */
    const explorer = new Explorer(el, {
      label: "The smallest network, live",
      values: first,
      presets: {
        flexible: {},
        forgetful: { tau_c: tau_w, a: 0, b: 0 },
        "blocks too short": { block_length: 0.1 },
        "no bound": { b: 0 },
      },
      controls: {
        tau_c: { words: words("How fast gates learn"), scale: ratios(tau_w / 200, 2 * tau_w), told: timesFaster },
        block_length: { words: "Block length", scale: linear(0.05, 3, 0.05), told: two },
        a: { words: words("Nonnegativity, ", html("i", {}, "a")), scale: linear(0, 0.3, 0.005), told: three },
        b: { words: words("Bound on the sum, ", html("i", {}, "b")), scale: linear(0, 2, 0.02), told: two },
        held: {
          words: "Specialized at the start",
          scale: linear(0, 1, 0.01),
          told: (v) => `${Math.round(100 * v)} %`,
          fold: START,
        },
        gate1: { words: "Gate 1 at the start", scale: linear(0, 1, 0.01), told: two, fold: START },
        gate2: { words: "Gate 2 at the start", scale: linear(0, 1, 0.01), told: two, fold: START },
        draw: {
          words: "Random start",
          scale: linear(0, 20, 1),
          told: (v) => (v === 0 ? "that of the figures" : `number ${v}`),
          fold: START,
        },
      },
      plots: [html("div", { class: "charts" }, ...charts.map((each) => each.panel)), plane.panel],
      transport,
      update,
      code: (values) => filled(code, { ...values, weights: begin(values), gates: [values.gate1, values.gate2] }),
    });
  },
};
