// @ts-check
/** The second layer: penalties, a cost on the first one, and who serves which output at the ends of two blocks. */
import { Explorer, filled } from "./explorer.js";
import { boundaries, learnTwoLayers, recoveries, seeSample } from "./model.js";
import { Cells, Chart, highest, html, letter, linear, number } from "./parts.js";
import { Background } from "./worker.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

/**
 * Learn, and keep the second layer, (hidden, output), at the end of some steps.
 * @param {any} start @param {any} flow @param {any} tasks @param {number[]} ends
 */
function learnToEnds(start, flow, tasks, ends) {
  const O = start.gates[0].length,
    layers = /** @type {number[][][]} */ ([]);
  const table = (/** @type {Float64Array} */ c) =>
    Array.from({ length: c.length / O }, (_, h) => Array.from(c.subarray(h * O, (h + 1) * O)));
  const run = learnTwoLayers(start, flow, tasks, { watch: (t, _, c) => ends.includes(t) && layers.push(table(c)) });
  if (ends.includes(tasks.length)) layers.push(table(run.gates));
  return { loss: run.loss, frames: layers };
}

const STRONG = 0.35; // the size of the brightest weights

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const state = model.get("state"),
      { flow, code } = state;
    const { stop, task } = state.blocks,
      tasks = new Uint8Array(stop[stop.length - 1]);
    stop.forEach((end, block) => tasks.fill(task[block], stop[block - 1] ?? 0, end));
    const edges = boundaries(tasks),
      frames = edges.slice(-2);
    const ends = frames.map((frame) => tasks[frame - 1]);
    const layers = ends.map(
      (task, n) => new Cells(`layer-${n}`, `Outputs by hidden units, at the end of task ${letter(task)}`, 8),
    );
    const loss = new Chart("loss", "Loss", [{ style: "ink" }]);
    const H = state.weights.length,
      O = state.gates[0].length;
    const background = new Background(learnToEnds, [learnTwoLayers, seeSample]);

    /** Hidden units in the order of the outputs that they serve, first those of one task. @param {number[][][]} layers */
    const sorted = (layers) => {
      const taken = new Set(),
        order = /** @type {number[]} */ ([]);
      // the strongest weights first, as long as the unit and the output of that task are free
      const all = layers.flatMap((layer, n) =>
        layer.flatMap((row, h) => row.map((gate, i) => [Math.abs(gate), h, ends[n] * O + i])),
      );
      const places = /** @type {number[]} */ (new Array(2 * O).fill(-1));
      for (const [, h, place] of all.sort((one, other) => other[0] - one[0]))
        if (!taken.has(h) && places[place] < 0) {
          taken.add(h);
          places[place] = h;
        }
      for (const h of places) if (h >= 0) order.push(h);
      for (let h = 0; h < H; h++) if (!taken.has(h)) order.push(h);
      return order;
    };

    const update = (/** @type {Values} */ values, /** @type {any} */ self) => {
      self.busy = true;
      const answer = (/** @type {any} */ result) => {
        self.busy = false;
        const order = sorted(result.frames),
          times = recoveries(result.loss, tasks, flow.dt);
        // of the squares of each output's gates: what is on a single unit, and on the units of the task that is on
        const sum = (/** @type {number[]} */ values) => values.reduce((sum, each) => sum + each, 0);
        const [alone, own] = [[], []].map(() => /** @type {number[]} */ ([]));
        result.frames.forEach((layer, n) => {
          for (let i = 0; i < O; i++) {
            const squares = order.map((h) => layer[h][i] ** 2),
              whole = sum(squares);
            alone.push(highest(squares) / whole);
            own.push(sum(squares.filter((_, place) => Math.floor(place / O) === ends[n])) / whole);
          }
        });
        const [single, share] = [alone, own].map((shares) => Math.round((100 * sum(shares)) / shares.length));
        const told = `${single} % of each output's gates (squared) is on a single unit, and ${share} % on units of the task that is on (by chance 50 %). Recovery at the last switch takes ${number(times[times.length - 1])}.`;
        result.frames.forEach((layer, n) => {
          const rows = Array.from({ length: O }, (_, i) => order.map((h) => Math.abs(layer[h][i]) / STRONG));
          layers[n].draw(
            rows,
            `Second layer at the end of task ${letter(ends[n])}: a row for each output, a column for each hidden unit. ${told}`,
          );
        });
        loss.draw([result.loss], [0, 0.6], {
          words: `Loss over time. ${told}`,
          tasks,
          ends: ["0", "time", number(tasks.length * flow.dt, 0)],
        });
        self.tell(told);
      };
      const { targets, weights, gates } = state;
      background.ask([{ targets, weights, gates }, { ...flow, ...values }, tasks, frames], answer);
      return self.status.textContent || "Learning …";
    };

    new Explorer(el, {
      label: "The second layer under its penalties",
      values: { a: flow.a, b: flow.b, weight_decay: flow.weight_decay },
      presets: {
        "as it is": {},
        "no nonnegativity": { a: 0 },
        "no penalties": { a: 0, b: 0, weight_decay: 0 },
        "less, and a cost": { a: Number((flow.a / 2).toPrecision(3)), weight_decay: 0.01 },
      },
      controls: {
        a: { words: "Nonnegativity", scale: linear(0, 0.3, 0.005), told: (v) => number(v, 3) },
        b: { words: "Bound on the length", scale: linear(0, 0.4, 0.005), told: (v) => number(v, 3) },
        weight_decay: { words: "Cost on layer 1", scale: linear(0, 0.02, 0.0005), told: (v) => number(v, 4) },
      },
      plots: [
        html("div", { class: "pair" }, ...layers.map((each) => each.panel)),
        html("div", { class: "charts wide" }, loss.panel),
      ],
      update,
      code: (values) => filled(code, values),
    });
  },
};
