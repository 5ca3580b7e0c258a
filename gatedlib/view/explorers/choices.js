// @ts-check
/** Choices and outcomes of somebody, and the gates that would follow them. */
import { Explorer, filled } from "./explorer.js";
import { Chart, html, letter, linear, listed, number, ratios, svg, symbol, words } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

const WIDTH = 600,
  HEIGHT = 40; // of the row of choices

/**
 * The gates after a trial, of which each predicts one of two options: the closed form of `gl.trials.gates_after`.
 * @param {number[]} gates @param {number} choice @param {number} outcome @param {number} tau_c @param {number} b
 */
function gatesAfter(gates, choice, outcome, tau_c, b) {
  const error = gates[choice] - outcome,
    excess = gates[0] + gates[1] - 1;
  const root = Math.hypot(1 - 2 * b, 2 * Math.sqrt(b)),
    fast = (1 + 2 * b + root) / 2,
    slow = b / fast;
  const integral = (/** @type {number} */ rate) => (rate > 0 ? -Math.expm1(-rate / tau_c) / rate : 1 / tau_c);
  const slope = (integral(fast) - integral(slow)) / root;
  const along = integral(slow) * error + slope * ((1 - slow) * error + b * excess);
  const across = integral(slow) * excess + slope * (error + (2 * b - slow) * excess);
  return gates.map((gate, path) => Math.max(0, gate - b * across - (path === choice ? along : 0)));
}

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { names, chosen, outcomes, right, values, code } = model.get("state");
    const digits = (/** @type {string} */ text) => Array.from(text, Number);
    const gates = new Chart("gates", "Gates before each choice", [
      { style: "task-0", words: "for A" },
      { style: "task-1", words: "for B" },
    ]);
    const chance = new Chart("chance", "How likely each choice was", [{ style: "flexible" }], { height: 70 });
    const row = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" });
    row.style.height = `${HEIGHT / 16}rem`;
    const choices = html("div", { class: "panel", "data-panel": "choices" });
    choices.append(
      html("div", { class: "title" }, "Choices: A above, B below; pale if not rewarded"),
      html("div", { class: "frame" }, row),
    );

    const update = (/** @type {Values} */ { series, tau_c, b, steepness, repeat }, /** @type {any} */ explorer) => {
      const place = names.indexOf(series),
        choice = digits(chosen[place]),
        outcome = digits(outcomes[place]),
        count = choice.length;
      let held = [0.5, 0.5],
        loss = 0,
        better = 0;
      const before = [new Float64Array(count), new Float64Array(count)],
        likely = new Float64Array(count);
      choice.forEach((made, trial) => {
        before.forEach((gate, path) => (gate[trial] = held[path]));
        const again = trial > 0 ? (choice[trial - 1] === made ? repeat : -repeat) : 0;
        const drive = steepness * (held[made] - held[1 - made]) + again;
        likely[trial] = 1 / (1 + Math.exp(-drive));
        loss += Math.log1p(Math.exp(-drive));
        if (drive > 0) better++;
        held = gatesAfter(held, made, outcome[trial], tau_c, b);
      });
      const wide = WIDTH / count;
      row.replaceChildren(
        ...choice.map((made, trial) =>
          svg("rect", {
            class: `task-${made}`,
            x: (trial * wide).toFixed(2),
            y: made === 0 ? 2 : HEIGHT / 2 + 2,
            width: (0.75 * wide).toFixed(2),
            height: HEIGHT / 2 - 4,
            opacity: outcome[trial] === 1 ? 1 : 0.3,
          }),
        ),
      );
      const rewarded = outcome.filter((each) => each === 1).length;
      const told = `${series[0].toUpperCase()}${series.slice(1)}: ${number(loss, 1)} nats of surprise in ${count} choices, where chance has ${number(count * Math.LN2, 1)}. In ${Math.round((100 * better) / count)} % of trials the choice was the likelier one.`;
      row.setAttribute("aria-label", `${count} choices between A and B, of which ${rewarded} were rewarded.`);
      const ends = /** @type {[string, string, string]} */ (["trial 1", "", `trial ${count}`]);
      const tasks = right ? digits(right[place]) : undefined;
      const shaded = tasks ? ` Shaded by the option that was better, ${tasks.map(letter)[0]} at first.` : "";
      gates.draw(before, [0, 1.2], { words: `The two gates before each choice.${shaded} ${told}`, tasks, ends });
      chance.draw([likely], [0, 1], { words: `The probability of each choice that was made. ${told}`, ends });
      explorer.loss = loss;
      return told;
    };

    new Explorer(el, {
      label: "Choices, and gates that follow them",
      values,
      presets: {
        "shared bound": {},
        "no bound": { b: 0 },
        "slow gates": { tau_c: 5 },
        "only repeats": { steepness: 0 },
      },
      controls: {
        series: { words: "Whose choices", options: names },
        tau_c: {
          words: words("Time constant of the gates, ", symbol("τ", "c"), " in trials"),
          scale: ratios(0.05, 20),
        },
        b: {
          words: words("Strength of the bound, ", html("i", {}, "b")),
          scale: listed([0, 0.03, 0.1, 0.3, 1, 3, 10, 100, 1000]),
        },
        steepness: { words: "How strongly gates decide", scale: linear(0, 20, 0.5) },
        repeat: { words: "Tendency to repeat a choice", scale: linear(-2, 8, 0.25) },
      },
      plots: [html("div", { class: "charts wide" }, choices, gates.panel, chance.panel)],
      update,
      code: (chosenValues) => filled(code, { ...chosenValues, series: names.indexOf(chosenValues.series) }),
    });
  },
};
