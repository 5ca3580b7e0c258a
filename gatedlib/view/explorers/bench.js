// @ts-check
/** The bench: any experiment with gated linear networks, many of them at once, and another one beside it. */
import { KINDS, chartsOf, drawAlike } from "./bench_charts.js";
import { pythonOf } from "./bench_code.js";
import { CURRICULA, INPUTS, LONGEST, MADE, STUDENTS, refusalsOf } from "./experiment.js";
import { Explorer } from "./explorer.js";
import { alignment, alignmentOfUnits, assignment, cosines, productsOfRows, unitsAsPaths } from "./matching.js";
import { drawSamples, learn, learnTwoLayers, randomNumbers, recoveries, seeSample } from "./model.js";
import { crossingOf, drawn, network, networks, orthonormal, samplesOf, squaredDistance, startOf } from "./networks.js";
import { html, linear, listed, number, ratios, symbol, words, zeroAndRatios } from "./parts.js";
import { Run, said } from "./runs.js";
import { csvOf, download, listOf } from "./save.js";
import { crossing, ratchet, spreading } from "./theory.js";
import { Background } from "./worker.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

const HELPERS = [
  ...[alignment, alignmentOfUnits, assignment, cosines, productsOfRows, unitsAsPaths],
  ...[drawSamples, learn, learnTwoLayers, randomNumbers, recoveries, seeSample],
  ...[crossingOf, drawn, network, orthonormal, samplesOf, squaredDistance, startOf, crossing, ratchet, spreading],
];
const MOST_WORKERS = 8,
  AT_ONCE = 1e6, // multiplications, a few milliseconds
  PAUSE = 150; // milliseconds of rest before a run begins, and between two pictures of one under way

/** Some number of multiplications that one network takes. @param {import("./experiment.js").Plan} plan */
const costOf = ({ student, noise, tasks, units, components, inputs, outputs }) =>
  tasks.length * units * (student === "a gate per path" && noise === 0 ? components + units : inputs * outputs);

/** @param {Values} values @returns {Record<string, import("./parts.js").Control>} */
function controlsOf(values) {
  const two = (/** @type {number} */ value) => number(value),
    plain = String;
  const [tasks, student, order, learning, networks] = ["Tasks", "Student", "Order of tasks", "Learning", "Networks"];
  const isIn =
    (/** @type {string} */ name, /** @type {string[]} */ ...options) =>
    (/** @type {Values} */ values) =>
      options.includes(values[name]);
  const paths = isIn("student", STUDENTS[0], STUDENTS[1]),
    layers = isIn("student", STUDENTS[2]);
  const times = (/** @type {number} */ value) => `× ${value}`;
  const tau = (/** @type {string} */ of, /** @type {string} */ what) =>
    words(`Time constant of ${what}, `, symbol("τ", of));
  const dts = [...new Set([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, values.dt])].sort((one, other) => one - other);
  return {
    made: { words: "Tasks are", options: MADE, fold: tasks },
    tasks: { words: "Tasks", scale: linear(2, 5, 1), when: isIn("made", MADE[0]), fold: tasks },
    mix: { words: "The tasks: parts, and mixtures of them", when: isIn("made", MADE[1]), fold: tasks },
    correlation: {
      words: "How alike (correlation)",
      scale: linear(0, 0.95, 0.05),
      told: two,
      fold: tasks,
    },
    d_in: { words: "Inputs", scale: linear(2, 60, 1), fold: tasks },
    d_out: { words: "Outputs", scale: linear(1, 12, 1), fold: tasks },
    length: { words: "Length of the teachers", scale: ratios(0.25, 4, 80), told: times, fold: tasks },
    student: { words: "Student", options: STUDENTS, fold: student },
    paths: { words: "Paths", scale: linear(1, 8, 1), when: paths, fold: student },
    hidden: { words: "Hidden units", scale: linear(2, 40, 1), when: layers, fold: student },
    gate_init: { words: "Gates at the start", scale: linear(0, 1, 0.05), told: two, when: paths, fold: student },
    gate_spread: {
      words: "How far gates are apart then",
      scale: linear(0, 0.3, 0.01),
      told: two,
      when: paths,
      fold: student,
    },
    layer_spread: {
      words: "Size of the second layer then",
      scale: linear(0, 0.5, 0.01),
      told: two,
      when: layers,
      fold: student,
    },
    weight_scale: { words: "Size of the first weights", scale: ratios(0.0001, 1), told: plain, fold: student },
    curriculum: { words: "Tasks come", options: CURRICULA, fold: order },
    block_length: {
      words: "Length of a block (or mean)",
      scale: linear(0.05, 5, 0.05),
      told: two,
      when: (values) => values.curriculum !== CURRICULA[3],
      fold: order,
    },
    rare: {
      words: "Length of the last task's blocks",
      scale: linear(0.05, 5, 0.05),
      told: two,
      when: isIn("curriculum", CURRICULA[1]),
      fold: order,
    },
    draw: {
      words: "Which random order",
      scale: linear(0, 49, 1),
      told: (v) => `number ${v}`,
      when: isIn("curriculum", CURRICULA[2]),
      fold: order,
    },
    round: { words: "The round: tasks and lengths", when: isIn("curriculum", CURRICULA[3]), fold: order },
    duration: { words: "Duration", scale: linear(1, LONGEST, 1), fold: order },
    tau_w: { words: tau("w", "the weights"), scale: ratios(0.01, 100, 200), told: plain, fold: learning },
    tau_c: { words: tau("c", "the gates"), scale: ratios(0.001, 100, 200), told: plain, fold: learning },
    a: {
      words: words("Nonnegativity, ", html("i", {}, "a")),
      scale: zeroAndRatios(0.001, 10),
      told: plain,
      fold: learning,
    },
    b: {
      words: words("Bound on all gates together, ", html("i", {}, "b")),
      scale: zeroAndRatios(0.001, 50),
      told: plain,
      fold: learning,
    },
    norm: { words: words("Order of the norm, ", html("i", {}, "k")), options: ["1", "2"], fold: learning },
    inputs: { words: "Inputs are seen", options: INPUTS, fold: learning },
    noise: {
      words: "Noise on the right answers",
      scale: linear(0.05, 2, 0.05),
      told: two,
      when: isIn("inputs", INPUTS[1]),
      fold: learning,
    },
    dt: { words: words("Step, ", html("i", {}, "dt")), scale: listed(dts), told: plain, fold: learning },
    seeds: { words: "Networks", scale: linear(1, 50, 1), fold: networks },
    network: {
      words: "The one that is looked at",
      scale: linear(0, 49, 1),
      told: (v) => `number ${v}`,
      fold: networks,
    },
    criterion: {
      words: "Recovered below this share of the loss of no answer",
      scale: linear(0.05, 0.95, 0.05),
      told: two,
      fold: networks,
    },
  };
}

const THREE = { tasks: 3, d_in: 20, d_out: 6, paths: 3, tau_w: 0.2, duration: 30 };
/** Where other students and questions may begin: with the settings of their chapters. @type {Record<string, Values>} */
const PRESETS = {
  Forgetful: { tau_c: 1.3, a: 0, b: 0 },
  "Practice, then mixtures": { ...THREE, a: 0.5, b: 2.5, curriculum: CURRICULA[4], criterion: 0.15 },
  "A gate for each output": { ...THREE, student: STUDENTS[1], tau_c: 0.005, a: 0.0227, b: 0.0227, norm: "2" },
  "Two layers": {
    student: STUDENTS[2],
    hidden: 20,
    tau_w: 0.06,
    tau_c: 0.01,
    a: 0.2,
    b: 0.2,
    norm: "2",
    dt: 0.01,
    duration: 30,
  },
};

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { values } = model.get("state");
    const cores = Math.min(navigator.hardwareConcurrency || 2, MOST_WORKERS);
    const workers = Array.from({ length: cores }, () => new Background(networks, HELPERS));
    const grid = html("div", { class: "pair wide" });
    const bar = html("progress", { max: 1, value: 0, "aria-label": "Networks that have learned" });
    const stop = html("button", { type: "button", class: "stop" }, "Stop");
    const keep = html("button", { type: "button", class: "keep" });
    const above = html("div", { class: "bar wide" }, bar, stop, keep);

    /** @type {{kept: Run | null, now: Run | null}} */
    const runs = { kept: null, now: null };
    /** What is drawn. @type {{of: "kept" | "now", run: Run, charts: Record<string, import("./bench_charts.js").Shown>}[]} */
    let columns = [];
    /** @type {any} */
    let explorer = null;
    let [timer, drawing, lastDrawn, looks] = [0, 0, 0, ""];

    /** Which charts there are depends on the settings. */
    const arrange = () => {
      const { kept, now } = runs;
      const next = [kept, now].map((run) => run && [run.key, run.values.network]).join();
      grid.classList.remove("stale");
      if (next === looks) {
        for (const column of columns) column.run = runs[column.of] ?? column.run;
        return;
      }
      looks = next;
      columns = [];
      if (kept) columns.push({ of: "kept", run: kept, charts: chartsOf(kept, "Kept: ") });
      if (now) columns.push({ of: "now", run: now, charts: chartsOf(now, kept ? "Now: " : "") });
      const rows = Object.keys(KINDS).map((name) => columns.map(({ charts }) => charts[name]?.chart.panel));
      const there = rows.filter((row) => row.some((panel) => panel));
      grid.replaceChildren(...there.flatMap((row) => row.map((panel) => panel ?? html("div"))));
    };
    const tellAll = () => {
      const { kept, now } = runs,
        told = now ? said(now) : "";
      return kept ? `Kept: ${said(kept)} Now: ${told}` : told;
    };
    /** Draw chart after chart, so that the page may do other things between two. @param {() => void} then @param {boolean} atOnce */
    const draw = (then = () => {}, atOnce = false) => {
      clearTimeout(drawing);
      arrange();
      const all = columns.map(({ run, charts }) => ({ run, charts, told: said(run) }));
      const sum = (/** @type {(run: Run) => number} */ of) => all.reduce((sum, { run }) => sum + of(run), 0);
      bar.value = sum((run) => run.networks.length) / sum((run) => run.values.seeds);
      const kinds = Object.entries(KINDS);
      const later = () => void (drawing = setTimeout(go));
      const go = () => {
        for (let next = kinds.shift(); next; next = kinds.shift()) {
          const [name, kind] = next;
          drawAlike(
            kind,
            all.flatMap(({ run, charts, told }) => (charts[name] ? [{ run, shown: charts[name], told }] : [])),
          );
          if (!atOnce) return later();
        }
        drawing = 0;
        lastDrawn = performance.now();
        explorer?.tell(tellAll());
        then();
      };
      if (atOnce) go();
      else later();
    };
    const each = () => drawing === 0 && performance.now() - lastDrawn > PAUSE && draw();

    /** What has not been learned yet is, one run after the other. */
    const work = () => {
      const next = [runs.kept, runs.now].find((run) => run && !run.done);
      const looking = [runs.kept, runs.now].find((run) => run?.done && !run.one);
      if (next) {
        next.begin(workers, each, work);
        return;
      }
      if (looking) return looking.look(workers[0], looking.values.network, work);
      draw(() => rest(tellAll()));
    };
    /** Nothing is left to do. @param {string} words */
    const rest = (words) => {
      stop.disabled = true;
      explorer.busy = false;
      explorer.tell(words);
    };
    const halt = () => {
      clearTimeout(timer);
      clearTimeout(drawing);
      drawing = 0;
      for (const worker of workers) worker.stop();
    };
    stop.onclick = () => {
      halt();
      for (const run of [runs.kept, runs.now]) if (run) run.done = true;
      const stopped = () => rest(`Stopped. ${tellAll()}`);
      stopped();
      draw(stopped);
    };
    keep.onclick = () => {
      explorer.kept = explorer.kept ? null : { ...explorer.values };
      explorer.choose({ ...explorer.values });
    };

    /** The run of these values: one that is there, if they are the same. @param {Values} values */
    const runOf = (values) => {
      const fresh = new Run(values);
      const same = [runs.now, runs.kept].find((run) => run?.key === fresh.key);
      if (!same) return fresh;
      const again = Object.assign(new Run(values), { networks: [...same.networks], done: same.done });
      return again;
    };
    const update = (/** @type {Values} */ values, /** @type {any} */ self) => {
      keep.textContent = self.kept ? "Let go of the kept one" : "Keep this one, change that";
      const refused = Object.keys(self.refusalsNow).length > 0;
      keep.disabled = refused && !self.kept;
      grid.classList.add("stale"); // until the first picture of these settings
      if (refused) {
        halt();
        stop.disabled = true;
        self.busy = false;
        const drawn = columns.length > 0 ? " What is drawn is of the settings before." : "";
        return `These settings do not go together. ${Object.values(self.refusalsNow).join(" ")}${drawn}`;
      }
      halt();
      const kept = self.kept ? runOf(self.kept) : null,
        now = runOf(values);
      [runs.kept, runs.now] = [kept, now];
      self.busy = true;
      stop.disabled = false;
      const first = columns.length === 0;
      if (first) {
        // the first picture does not wait for a worker to begin; of much work it is the frames of charts
        if (costOf(now.plan) < AT_ONCE) now.networks.push(network(now.plan, now.values.network, true));
        draw(undefined, true);
      }
      Object.assign(self, { runs, workers });
      timer = setTimeout(work, first ? 0 : PAUSE);
      return tellAll();
    };
    /** Those of what is drawn. */
    const settings = () => columns.map(({ of, run }) => `${of}: ${listOf(run.values)}`);

    explorer = new Explorer(el, {
      label: "The bench: an experiment of your own",
      values,
      controls: controlsOf(values),
      presets: PRESETS,
      plots: [above, grid],
      update,
      refusals: refusalsOf,
      settings,
      code: (values, self) => pythonOf(values, self.kept),
    });
    explorer.element.querySelector("details").open = true;
    const numbers = html("button", { type: "button", class: "csv" }, "Numbers (CSV)");
    numbers.onclick = () => {
      if (columns.length === 0) return; // nothing is shown
      const drawings = columns.flatMap(({ of, charts }) =>
        Object.values(charts).flatMap(({ drawing }) => (drawing ? [{ run: of, drawing }] : [])),
      );
      download("bench.csv", "text/csv", csvOf(settings(), drawings));
    };
    explorer.element.querySelector(".buttons").append(numbers);
    explorer.drawn = drawn; // for whom wants to let the library begin from the same numbers
  },
};
