// @ts-check
/** The phase diagram: walk on a map, where one network learns at the point under your finger; draw the map anew. */
import { Explorer, filled } from "./explorer.js";
import { alignment, assignment, cosines, productsOfRows } from "./matching.js";
import { countTurns, inTurn, learn, seeSample, stepsOf } from "./model.js";
import {
  COARSE,
  Cells,
  Gates,
  SPECIALIZED,
  html,
  linear,
  listed,
  number,
  ratios,
  svg,
  symbol,
  unlessScrolled,
  words,
} from "./parts.js";
import { crossing, spreading } from "./theory.js";
import { Background } from "./worker.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

const CELLS = 24, // of a map that is drawn anew, along each axis
  OTHER = "Other settings, and a map for them";

/** What a setting is called. @type {Record<string, () => Node>} */
const NAMES = {
  block_length: () => words("block length"),
  tau_c: () => words("time constant of the gates, ", symbol("τ", "c")),
  a: () => words("nonnegativity, ", html("i", {}, "a")),
  b: () => words("bound, ", html("i", {}, "b")),
};

/** The same start with longer teachers and larger initial weights. @param {any} start @param {any} values */
function scaled(start, { length, initial }) {
  const times = (/** @type {number[][][]} */ tables, /** @type {number} */ by) =>
    tables.map((table) => table.map((row) => row.map((each) => by * each)));
  return { ...start, targets: times(start.targets, length), weights: times(start.weights, initial) };
}

/** Whether gates jump to and fro at every eighth step or more, late in a run. @param {import("./model.js").Run} run */
function chatters({ gates, steps }) {
  const begin = Math.floor(0.9 * steps);
  return gates.some((gate) => countTurns(gate, 0.05, begin) > (steps - begin) / 8);
}

/**
 * Of some networks, the share in which a gate reaches zero and one block carries the gates across, in closed form.
 * @param {any[]} starts @param {any} flow @param {number} duration @param {number} length of a block
 */
function shareAcross(starts, flow, duration, length) {
  const steps = stepsOf(duration, flow.dt),
    block = stepsOf(length, flow.dt),
    blocks = Math.ceil(steps / block);
  const last = (steps - (blocks - 1) * block) * flow.dt;
  const said = starts.filter(
    (start) => crossing(spreading(start, flow, block * flow.dt, blocks, last), start, flow, block * flow.dt) >= 1,
  );
  return said.length / starts.length;
}

/**
 * The map, row by row: in each cell the share of networks that become flexible, and of those that the closed form says do.
 * @param {any[]} starts @param {any} flow @param {number} duration @param {any[]} axes @param {number} above
 */
function* drawMap(starts, flow, duration, axes, above) {
  const [up, across] = axes;
  for (let row = 0; row < up.values.length; row++) {
    const cells = across.values.map((/** @type {number} */ value) => {
      const all = { ...flow, [up.name]: up.values[row], [across.name]: value };
      const tasks = inTurn(stepsOf(duration, all.dt), stepsOf(all.block_length, all.dt));
      const flexible = starts.filter((start) => alignment(start, learn(start, all, tasks).final).cosine > above);
      return [flexible.length / starts.length, shareAcross(starts, all, duration, all.block_length)];
    });
    yield { row, cells };
  }
}

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const state = model.get("state"),
      { flow, starts, code } = state;
    const base = { ...flow, block_length: state.block_length };
    const [up, across] = state.axes;
    const map = new Cells("map", words("Networks that become flexible: none (blank) to all (green)"), 13);
    const border = svg("path", { class: "border", d: "" });
    const over = svg(
      "svg",
      { class: "over", viewBox: "0 0 600 300", preserveAspectRatio: "none", "aria-hidden": "true" },
      border,
    );
    const point = html("span", { class: "point", "aria-hidden": "true" });
    map.frame.append(over, point);
    const frame = map.frame;
    frame.classList.add("map");
    for (const [key, value] of Object.entries({
      tabindex: 0,
      role: "application",
      "aria-label": "The map: arrow keys move the point",
    }))
      frame.setAttribute(key, value);
    const ends = () => [across.values[0], across.values[across.values.length - 1]].map(String);
    const below = html(
      "div",
      { class: "below", "aria-hidden": "true" },
      html("span", {}, ends()[0]),
      NAMES[across.name](),
      html("span", {}, ends()[1]),
    );
    const side = html(
      "div",
      { class: "title", "aria-hidden": "true" },
      words(
        "upwards: ",
        NAMES[up.name](),
        `, ${up.values[0]} to ${up.values[up.values.length - 1]}. Click, drag or use arrow keys.`,
      ),
    );
    map.panel.append(below, side);
    const opening = new Gates("Gates at this point", { height: 170 });

    /** @type {any} */
    let shown = {
      rows: state.map,
      of: { length: 1, initial: 1, tau_w: flow.tau_w, duration: state.duration, strength: 1 },
    };
    const first = shown;
    const background = new Background(drawMap, [
      shareAcross,
      crossing,
      spreading,
      alignment,
      assignment,
      cosines,
      productsOfRows,
      learn,
      seeSample,
      inTurn,
      stepsOf,
    ]);
    const button = html("button", { type: "button", class: "recompute" }, "Draw the map for these settings");
    const note = html("span", { class: "clock" });

    const flowOf = (/** @type {Values} */ values) => ({
      ...base,
      tau_w: values.tau_w,
      a: values.strength * flow.a,
      b: values.strength * flow.b,
    });
    const drawn = () =>
      map.draw(
        [...shown.rows].reverse(),
        `Map of ${up.name} and ${across.name}: how many networks become flexible, blank for none, green for all.`,
      );

    const update = (/** @type {Values} */ values, /** @type {any} */ self) => {
      const start = scaled(starts[0], values);
      const all = { ...flowOf(values), [up.name]: values[up.name], [across.name]: values[across.name] };
      const tasks = inTurn(stepsOf(values.duration, all.dt), stepsOf(all.block_length, all.dt));
      const run = learn(start, all, tasks),
        found = alignment(start, run.final);
      self.run = run;
      self.map = shown;
      const told = `Here the network is ${found.cosine > SPECIALIZED ? "flexible" : "not flexible"} (alignment ${number(found.cosine)}).${chatters(run) ? ` Its gates chatter: ${COARSE}.` : ""}`;
      opening.follow(run, found, {
        words: `The two gates at this point. ${told}`,
        ends: ["0", "time", String(values.duration)],
      });
      const place = (/** @type {any} */ axis) =>
        (scales[axis.name].place(values[axis.name]) + 0.5) / axis.values.length;
      point.style.left = `${100 * place(across)}%`;
      point.style.bottom = `${100 * place(up)}%`;
      const of = (/** @type {any} */ map) => Object.entries(map.of).every(([name, value]) => values[name] === value);
      if (!background.busy && !of(shown) && of(first)) {
        shown = first;
        border.setAttribute("d", firstEdge);
        note.textContent = "";
        drawn();
      }
      const same = of(shown);
      frame.classList.toggle("stale", !same && !background.busy);
      return same ? told : `${told} The map is not of these settings: draw it anew.`;
    };

    const recompute = () => {
      const values = { ...explorer.values },
        began = performance.now();
      const fine = (/** @type {any} */ axis) => {
        const [low, high] = [axis.values[0], axis.values[axis.values.length - 1]];
        return {
          name: axis.name,
          values: Array.from({ length: CELLS }, (_, n) =>
            axis.log ? low * (high / low) ** (n / (CELLS - 1)) : low + ((high - low) * n) / (CELLS - 1),
          ),
        };
      };
      const { length, initial, tau_w, duration, strength } = values;
      shown = {
        rows: Array.from({ length: CELLS }, () => new Array(CELLS).fill(null)),
        of: { length, initial, tau_w, duration, strength },
      };
      /** @type {(number | null)[][]} */
      const said = shown.rows.map((row) => [...row]);
      border.setAttribute("d", "");
      frame.classList.remove("stale");
      drawn();
      const part = (/** @type {any} */ { row, cells }) => {
        shown.rows[row] = cells.map(([share]) => share);
        said[row] = cells.map(([, each]) => each);
        drawn();
        border.setAttribute("d", edge(said));
        note.textContent = `${Math.round((100 * (row + 1)) / CELLS)} %`;
      };
      const done = () => {
        note.textContent = `drawn in ${number((performance.now() - began) / 1000, 1)} s; to the left of the line, says the closed form, paths specialize, given time`;
        explorer.busy = false;
        explorer.refresh();
      };
      const axes = [fine(up), fine(across)];
      shown.axes = axes;
      explorer.busy = true;
      background.ask(
        [starts.map((/** @type {any} */ start) => scaled(start, values)), flowOf(values), duration, axes, SPECIALIZED],
        part,
        done,
      );
      explorer.refresh();
    };
    button.onclick = recompute;

    /** The line between cells in which most networks are said to specialize, and the others. @param {(number | null)[][]} said */
    const edge = (said) => {
      const [rows, columns] = [said.length, said[0].length];
      const [wide, high] = [600 / columns, 300 / rows],
        parts = [];
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
          const here = said[row][column];
          if (here === null) continue;
          const [right, above] = [said[row][column + 1] ?? null, said[row + 1]?.[column] ?? null];
          const [x, y] = [(column + 1) * wide, 300 - (row + 1) * high];
          if (right !== null && right > 0.5 !== here > 0.5) parts.push(`M${x},${y}v${high}`);
          if (above !== null && above > 0.5 !== here > 0.5) parts.push(`M${x},${y}h${-wide}`);
        }
      return parts.join("");
    };

    const firstSaid = up.values.map((/** @type {number} */ high) =>
      across.values.map((/** @type {number} */ wide) => {
        const all = { ...base, [up.name]: high, [across.name]: wide };
        return shareAcross(starts, all, state.duration, all.block_length);
      }),
    );
    const firstEdge = edge(firstSaid);
    border.setAttribute("d", firstEdge);

    const move = (/** @type {PointerEvent} */ event) => {
      const box = frame.getBoundingClientRect();
      const share = (/** @type {number} */ at, /** @type {number} */ size) => Math.max(0, Math.min(0.999, at / size));
      const [x, y] = [
        share(event.clientX - box.left, box.width),
        1 - share(event.clientY - box.top, box.height) - 1e-9,
      ];
      const at = (/** @type {any} */ axis, /** @type {number} */ share) =>
        axis.values[Math.floor(Math.max(0, share) * axis.values.length)];
      explorer.choose({ ...explorer.values, [across.name]: at(across, x), [up.name]: at(up, y) });
    };
    frame.onpointerdown = (/** @type {PointerEvent} */ event) => {
      frame.setPointerCapture(event.pointerId);
      move(event);
    };
    frame.onpointermove = (/** @type {PointerEvent} */ event) => event.buttons > 0 && move(event);
    frame.onkeydown = (/** @type {KeyboardEvent} */ event) => {
      const [axis, by] = { ArrowLeft: [across, -1], ArrowRight: [across, 1], ArrowDown: [up, -1], ArrowUp: [up, 1] }[
        event.key
      ] ?? [null, 0];
      if (axis === null) return;
      event.preventDefault();
      const place = Math.max(
        0,
        Math.min(axis.values.length - 1, scales[axis.name].place(explorer.values[axis.name]) + by),
      );
      explorer.choose({ ...explorer.values, [axis.name]: axis.values[place] });
    };

    const scales = { [up.name]: listed(up.values), [across.name]: listed(across.values) };
    /** @type {Values} */
    const values = { length: 1, initial: 1, tau_w: flow.tau_w, duration: state.duration, strength: 1 };
    for (const axis of state.axes) values[axis.name] = axis.at;
    // the penalties' spring is stable in steps of dt up to this strength, also where gates are fastest
    const [fastest, stiffest] = ["tau_c", "b"].map(
      (name) => state.axes.find((axis) => axis.name === name)?.values ?? [flow[name]],
    );
    const strongest = Math.min(2, Math.floor((9.9 * Math.min(...fastest)) / (Math.max(...stiffest) * flow.dt)) / 10);
    const times = (/** @type {number} */ value) => `× ${Number(value.toPrecision(3))}`;
    const moved = (/** @type {any} */ axis) => ({
      words: NAMES[axis.name](),
      scale: scales[axis.name],
      told: (/** @type {number} */ v) => String(Number(v.toPrecision(3))),
    });
    drawn();
    /** @type {Explorer} */
    const explorer = new Explorer(el, {
      label: "A map of where networks become flexible, and a network at each of its points",
      values,
      controls: {
        [across.name]: moved(across),
        [up.name]: moved(up),
        length: { words: "Length of the teachers", scale: ratios(0.25, 4, 40), told: times, fold: OTHER },
        initial: { words: "Size of the first weights", scale: ratios(0.1, 10, 40), told: times, fold: OTHER },
        tau_w: {
          words: words("Time constant of the weights, ", symbol("τ", "w")),
          scale: ratios(flow.tau_w / 10, flow.tau_w * 10, 40),
          told: (v) => String(v),
          fold: OTHER,
        },
        duration: { words: "Duration", scale: linear(1, 4 * state.duration, 1), told: String, fold: OTHER },
        strength: { words: "Strength of the penalties", scale: linear(0, strongest, 0.1), told: times, fold: OTHER },
      },
      plots: [map.panel, html("div", { class: "charts" }, opening.panel)],
      update,
      code: (values) => filled(code, values),
    });
    unlessScrolled(
      frame,
      () => explorer.values,
      (values) => explorer.choose(values),
    );
    explorer.element.querySelector("details").append(html("div", { class: "bar" }, button, note));
  },
};
