// @ts-check
/** What explorers are put together from: elements, scales, charts, the passing of time, words. */
import { boundaries } from "./model.js";

/**
 * @typedef {{get: (name: string) => any}} Model what the host of an explorer knows: an anywidget model, or the page's
 * @typedef {Record<string, any>} Values what the controls say, by name
 * @typedef {{last: number, value: (place: number) => number, place: (value: number) => number, rule: string,
 *   has: (value: number) => boolean}} Scale `has`: whether a number may be chosen, `rule`: which ones may
 * @typedef {{words: Node | string, scale?: Scale, options?: string[], told?: (value: any) => Node | string, fold?: string,
 *   when?: (values: Values) => boolean}} Control
 *   a slider along a scale, a choice of options, or else a line of text; `fold` names what it is behind
 * @typedef {{style: string, words?: string}} Curve
 */

const POINTS = 700; // of a curve; each stands for the lowest and the highest value nearby

/** @param {string} kind @returns {(name: string, attributes?: Record<string, any>, ...inside: any[]) => any} */
const make =
  (kind) =>
  (name, attributes = {}, ...inside) => {
    const element = document.createElementNS(kind, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
export const html = make("http://www.w3.org/1999/xhtml");
export const svg = make("http://www.w3.org/2000/svg");

/** A letter with a subscript, such as tau_c; where only text can stand, `τc` is said. @param {string} letter @param {string} below */
export const symbol = (letter, below) => html("i", { class: "symbol" }, letter, html("sub", {}, below));

/** Several pieces of words. @param {...(Node | string)} pieces */
export const words = (...pieces) => html("span", {}, ...pieces);

/** What a task is called. @param {number} task */
export const letter = (task) => "ABCDEF"[task];

/** @param {number} low @param {number} high @param {number} step @returns {Scale} */
export const linear = (low, high, step) => {
  const last = Math.round((high - low) / step),
    value = (/** @type {number} */ place) => Number((low + place * step).toPrecision(6)),
    place = (/** @type {number} */ value) => Math.round((value - low) / step);
  const has = (/** @type {number} */ number) => value(Math.max(0, Math.min(last, place(number)))) === number;
  return { last, value, place, has, rule: `goes from ${low} to ${value(last)} in steps of ${step}` };
};

/** Equal ratios, three digits. @param {number} low @param {number} high @param {number} last @returns {Scale} */
export const ratios = (low, high, last = 120) => ({
  last,
  value: (place) => Number((low * (high / low) ** (place / last)).toPrecision(3)),
  place: (value) => Math.round((last * Math.log(value / low)) / Math.log(high / low)),
  has: (value) => value >= 0.999 * low && value <= 1.001 * high,
  rule: `goes from ${Number(low.toPrecision(3))} to ${Number(high.toPrecision(3))}`,
});

/** Zero, and equal ratios above it. @param {number} low @param {number} high @returns {Scale} */
export const zeroAndRatios = (low, high) => {
  const above = ratios(low, high);
  return {
    last: above.last + 1,
    value: (place) => (place === 0 ? 0 : above.value(place - 1)),
    place: (value) => (value === 0 ? 0 : above.place(value) + 1),
    has: (value) => value === 0 || above.has(value),
    rule: `is 0 or ${above.rule}`,
  };
};

/** These values only. @param {number[]} values @returns {Scale} */
export const listed = (values) => ({
  last: values.length - 1,
  value: (place) => values[place],
  place: (value) => {
    let nearest = 0;
    values.forEach((each, n) => {
      if (Math.abs(each - value) < Math.abs(values[nearest] - value)) nearest = n;
    });
    return nearest;
  },
  has: (value) => values.includes(value),
  rule: `is one of ${values.length > 9 ? `${values.length} values from ${values[0]} to ${values[values.length - 1]}` : values.join(", ")}`,
});

/** A number in print: a few digits, a minus that is one. @param {number} value @param {number} digits */
export const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");

/** The highest of some values. @param {ArrayLike<number>} values */
export const highest = (values) => Array.from(values).reduce((most, value) => Math.max(most, value), -Infinity);

/** The lowest of some values. @param {ArrayLike<number>} values */
export const lowest = (values) => Array.from(values).reduce((least, value) => Math.min(least, value), Infinity);

/**
 * The path of a curve over equal steps: for every bucket of steps its lowest and highest value, as they come; in pieces
 * where values are missing.
 * @param {ArrayLike<number>} values @param {(t: number) => number} x @param {(value: number) => number} y
 */
function trace(values, x, y) {
  const size = Math.max(1, Math.floor(values.length / POINTS));
  let [path, next] = ["", "M"];
  for (let start = 0; start < values.length; start += size) {
    let low = start,
      high = start;
    for (let t = start; t < Math.min(start + size, values.length); t++) {
      if (values[t] < values[low]) low = t;
      if (values[t] > values[high]) high = t;
    }
    for (const t of new Set(low < high ? [low, high] : [high, low])) {
      const there = Number.isFinite(values[t]);
      if (there) path += `${next}${x(t).toFixed(1)},${y(values[t]).toFixed(1)}`;
      next = there ? "L" : "M";
    }
  }
  return path;
}

/**
 * The area between two curves over equal steps, in pieces where values are missing.
 * @param {ArrayLike<number>} low @param {ArrayLike<number>} high @param {(t: number) => number} x @param {(value: number) => number} y
 */
function area(low, high, x, y) {
  const size = Math.max(1, Math.ceil(low.length / (POINTS / 2)));
  let [above, below, path] = ["", "", ""];
  const close = () => {
    if (above !== "") path += `M${above}L${below}Z`;
    [above, below] = ["", ""];
  };
  for (let start = 0; start < low.length; start += size) {
    let [least, most] = [Infinity, -Infinity];
    for (let t = start; t < Math.min(start + size, low.length); t++) {
      if (low[t] < least) least = low[t];
      if (high[t] > most) most = high[t];
    }
    if (most < least) close();
    else {
      const at = x(start).toFixed(1);
      above += `${above === "" ? "" : "L"}${at},${y(most).toFixed(1)}`;
      below = `${at},${y(least).toFixed(1)}${below === "" ? "" : "L"}${below}`;
    }
  }
  close();
  return path;
}

/** Curves over equal steps, in a frame whose ends are labelled; blocks may be shaded, what is to come may be pale. */
export class Chart {
  /**
   * @param {string} name @param {Node | string} title @param {Curve[]} curves
   * @param {{height?: number}} looks
   */
  constructor(name, title, curves, { height = 110 } = {}) {
    this.height = height;
    const clip = `explorer-clip-${Math.random().toString(36).slice(2)}`; // of its own in a page with many modules
    this.past = svg("rect", { x: 0, y: 0, height, width: 600 });
    this.shades = svg("g", {});
    const path = (/** @type {Curve} */ { style }, /** @type {string} */ more, extra = {}) =>
      svg("path", { class: `curve ${style} ${more}`.trim(), ...extra });
    this.bands = curves.map((curve) => path(curve, "band"));
    this.pale = curves.map((curve) => path(curve, "pale"));
    this.lines = curves.map((curve) => path(curve, "", { "clip-path": `url(#${clip})` }));
    this.now = svg("line", { class: "now", y1: 0, y2: height, x1: -9, x2: -9 });
    this.zero = svg("line", { class: "zero", x1: 0, x2: 600 });
    this.element = svg("svg", { viewBox: `0 0 600 ${height}`, role: "img", preserveAspectRatio: "none" });
    this.element.style.height = `${height / 16}rem`;
    this.element.append(svg("clipPath", { id: clip }, this.past));
    this.element.append(this.shades, this.zero, ...this.bands, ...this.pale, ...this.lines, this.now);
    this.ticks = ["top", "bottom"].map((side) => html("span", { class: `tick ${side}`, "aria-hidden": "true" }));
    this.ends = ["left", "middle", "right"].map(() => html("span", {}));
    const keys = curves
      .filter((curve) => curve.words)
      .map((curve) => html("span", { class: `key ${curve.style}` }, curve.words));
    this.title = html("div", { class: "title" }, html("span", {}, title), ...keys);
    this.below = html("div", { class: "below", "aria-hidden": "true" }, ...this.ends);
    this.panel = html("div", { class: "panel", "data-panel": name });
    this.panel.append(this.title, html("div", { class: "frame" }, this.element, ...this.ticks), this.below);
  }

  /**
   * @param {ArrayLike<number>[]} series @param {[number, number]} range of the values
   * @param {{words: string, tasks?: ArrayLike<number>, ends?: [string, string, string],
   *   bands?: [ArrayLike<number>, ArrayLike<number>][]}} rest
   *   what is seen, in words; the task of every step; what stands below the frame; around each curve, between what it lies
   */
  draw(series, [low, high], { words, tasks, ends, bands = [] }) {
    const y = (/** @type {number} */ value) => (this.height * (high - value)) / (high - low);
    this.lines.forEach((_, n) => {
      const values = series[n] ?? []; // nothing where there is no such curve now
      const x = (/** @type {number} */ t) => (600 * t) / Math.max(1, values.length - 1),
        path = trace(values, x, y);
      this.bands[n].setAttribute("d", bands[n] ? area(...bands[n], x, y) : "");
      this.pale[n].setAttribute("d", path);
      this.lines[n].setAttribute("d", path);
    });
    this.zero.setAttribute("y1", y(0));
    this.zero.setAttribute("y2", y(0));
    if (tasks) this.shade(tasks);
    [high, low].forEach((value, n) => (this.ticks[n].textContent = number(value, 2).replace(/\.?0+$/, "")));
    this.below.hidden = !ends;
    ends?.forEach((text, n) => (this.ends[n].textContent = text));
    this.element.setAttribute("aria-label", words);
  }

  /** Shade blocks by their task. @param {ArrayLike<number>} tasks */
  shade(tasks) {
    const edges = boundaries(tasks),
      paths = /** @type {string[][]} */ ([]);
    const x = (/** @type {number} */ t) => ((600 * t) / tasks.length).toFixed(1);
    for (let block = 0; block < edges.length - 1; block++)
      (paths[tasks[edges[block]]] ??= []).push(
        `M${x(edges[block])},0H${x(edges[block + 1])}V${this.height}H${x(edges[block])}Z`,
      );
    this.shades.replaceChildren(
      ...Array.from(paths, (parts, task) => svg("path", { class: `shade task-${task}`, d: (parts ?? []).join("") })),
    );
  }

  /** The present moment, as a share of the whole. @param {number} share */
  at(share) {
    this.past.setAttribute("width", 600 * share);
    this.now.setAttribute("x1", 600 * share);
    this.now.setAttribute("x2", 600 * share);
  }
}

export const SPECIALIZED = 0.95; // alignment above which each path holds a task
/** Why gates or losses jump to and fro from step to step. */
export const COARSE = "steps of learning are coarse for gates this fast";
const QUICK = 0.25; // time units within which a network that switches by its gates has recovered

/**
 * What a network has become, in a few words: by how far each path holds one task, and by how quick its last switch was.
 * @param {number} cosine the alignment @param {number} last the time that the last switch took, NaN if there was none @param {number} block
 */
export function kind(cosine, last, block) {
  const quick = last < Math.min(QUICK, 0.9 * block);
  if (cosine > SPECIALIZED) return quick ? "Flexible" : "Specialized, but slow to switch";
  return quick ? "Quick to switch, but not specialized" : "Not flexible";
}

/** How long something took in a block. @param {number} time @param {number} block */
export const took = (time, block) => (time < 0.999 * block ? number(time) : "more than the block");

/** The two gates of a run over time, each in the colour of the task that its path serves. */
export class Gates extends Chart {
  /** @param {string} title @param {{height?: number}} looks */
  constructor(title, looks = {}) {
    const keys = [0, 1].map((task) => ({ style: `task-${task}`, words: " " }));
    super("gates", title, keys, looks);
    this.keys = [...this.title.querySelectorAll(".key")];
  }

  /**
   * @param {import("./model.js").Run} run @param {{cosine: number, order: number[]}} found the alignment, and the path of each task
   * @param {{words: string, ends?: [string, string, string]}} rest
   */
  follow(run, { cosine, order }, rest) {
    const most = Math.max(1.3, ...run.gates.map((each) => Math.ceil(10 * highest(each)) / 10));
    const least = Math.min(-0.3, ...run.gates.map((each) => Math.floor(10 * lowest(each)) / 10));
    const series = order.map((path) => run.gates[path]);
    this.keys.forEach((key, task) => {
      key.textContent = `path ${cosine > SPECIALIZED ? "of" : "nearer to"} ${letter(task)}`;
    });
    // where both are the same, the one below is seen on both sides of the other
    const same = series[0].every((gate, t) => Math.abs(gate - series[1][t]) < 0.02);
    this.lines[0].classList.toggle("under", same);
    this.draw(series, [least, most], { ...rest, tasks: run.tasks });
  }
}

/** The plane of two teachers: what each path holds, as strong as its gate is open, and what they add up to. */
export class Plane {
  /** @param {Node | string} title @param {string} lately what the dotted lines are, where paths are drawn with their past */
  constructor(title, lately = "") {
    const target = (/** @type {number} */ task, /** @type {number} */ x, /** @type {number} */ y) => [
      svg("circle", { class: `target task-${task}`, cx: x, cy: y, r: 9 }),
      svg("text", { class: `task-${task}`, x: x + (task ? 14 : 0), y: y + (task ? 5 : 24) }, `task ${letter(task)}`),
    ];
    this.paths = [0, 1].map(() => [
      svg("line", { class: "weights", x1: 40, y1: 200 }),
      svg("path", { class: "weights", d: "M-13,-7L2,0L-13,7Z" }),
    ]);
    this.trails = [0, 1].map(() => svg("path", { class: "trail" }));
    this.output = svg("circle", { class: "output", r: 6 });
    this.element = svg("svg", { viewBox: "0 0 240 240", role: "img" });
    this.element.append(
      svg("path", { class: "axes", d: "M40,200H215M40,200V25" }),
      ...target(0, 190, 200),
      ...target(1, 40, 50),
      ...this.trails,
      ...this.paths.flat(),
      this.output,
    );
    this.panel = html("div", { class: "panel plane", "data-panel": "plane" });
    const key = lately ? [html("span", { class: "key muted dotted" }, lately)] : [];
    this.panel.append(html("div", { class: "title" }, html("span", {}, title), ...key), this.element);
  }

  /**
   * @param {number[][]} weights of both paths, in units of the teachers @param {number[]} gates
   * @param {number[]} colors the task whose colour each path has @param {string} words
   * @param {number[][][]} before where each path has been lately
   */
  at(weights, gates, colors, words, before = [[], []]) {
    const place = (/** @type {number} */ x, /** @type {number} */ y) => [40 + 150 * x, 200 - 150 * y];
    let sum = [0, 0];
    const [one, other] = weights;
    const same = Math.hypot(one[0] - other[0], one[1] - other[1]) < 0.06 && Math.hypot(...one) > 0.1;
    this.paths.forEach(([line, tip], path) => {
      const [x, y] = place(weights[path][0], weights[path][1]);
      const opacity = 0.35 + 0.65 * Math.min(1, Math.abs(gates[path]));
      const angle = (Math.atan2(y - 200, x - 40) * 180) / Math.PI;
      const size = Math.min(1, Math.hypot(x - 40, y - 200) / 20); // of the head, for an arrow that is short
      for (const [key, value] of Object.entries({ x2: x, y2: y, opacity })) line.setAttribute(key, value);
      tip.setAttribute("transform", `translate(${x} ${y}) rotate(${angle}) scale(${size})`);
      tip.setAttribute("opacity", opacity);
      const way = [...before[path], weights[path]].map(([one, other]) =>
        place(one, other).map((each) => each.toFixed(1)),
      );
      this.trails[path].setAttribute("d", `M${way.join("L")}`);
      this.trails[path].setAttribute("class", `trail task-${colors[path]}`);
      for (const each of [line, tip])
        each.setAttribute("class", `weights task-${colors[path]}${same && path === 0 ? " under" : ""}`);
      sum = sum.map((each, d) => each + gates[path] * weights[path][d]);
    });
    const [x, y] = place(sum[0], sum[1]);
    this.output.setAttribute("cx", x);
    this.output.setAttribute("cy", y);
    this.element.setAttribute("aria-label", words);
  }
}

/** Upright bars with names below, and maybe rings for what they should be. */
export class Bars {
  /** @param {string} name @param {Node | string} title @param {string[]} names @param {[number, number]} range */
  constructor(name, title, names, [low, high]) {
    this.range = this.least = [low, high];
    this.y = (/** @type {number} */ value) => {
      const [low, high] = this.range;
      return 24 + (136 * (high - value)) / (high - low);
    };
    const x = (/** @type {number} */ n) => 44 + (180 * (n + 0.5)) / names.length;
    const width = Math.min(44, 110 / names.length);
    this.bars = names.map((_, n) => svg("rect", { class: `bar-${n} task-${n}`, x: x(n) - width / 2, width }));
    this.numbers = names.map((_, n) => svg("text", { x: x(n), "text-anchor": "middle", class: "value" }));
    this.rings = names.map((_, n) => svg("circle", { class: "ring", cx: x(n), r: 7, visibility: "hidden" }));
    this.ticks = [...new Set([low, 0, high])].map((value) => ({
      line: svg("line", { class: "zero", x1: 40, x2: 224 }),
      text: svg("text", { x: 34, "text-anchor": "end", class: "small" }),
      at: () => (value === high ? this.range[1] : value === low ? this.range[0] : 0),
    }));
    this.element = svg("svg", { viewBox: "0 0 240 190", role: "img" });
    this.element.append(...this.ticks.flatMap(({ line, text }) => [line, text]));
    this.element.append(...this.bars, ...this.rings, ...this.numbers);
    this.element.append(...names.map((text, n) => svg("text", { x: x(n), y: 180, "text-anchor": "middle" }, text)));
    this.panel = html("div", { class: "panel bars", "data-panel": name });
    this.panel.append(html("div", { class: "title" }, title), this.element);
  }

  /** @param {number[]} values @param {string} words @param {number[]} rings */
  draw(values, words, rings = []) {
    const tenths = values.map((each) => Math.ceil(10 * Math.abs(each)) / 10);
    this.range = [Math.min(this.least[0], ...values), Math.max(this.least[1], ...tenths)];
    for (const { line, text, at } of this.ticks) {
      for (const end of ["y1", "y2"]) line.setAttribute(end, this.y(at()));
      text.setAttribute("y", this.y(at()) + 4);
      text.textContent = number(at(), 1);
    }
    values.forEach((value, n) => {
      const [top, bottom] = [this.y(Math.max(value, 0)), this.y(Math.min(value, 0))];
      this.bars[n].setAttribute("y", top);
      this.bars[n].setAttribute("height", Math.max(1, bottom - top));
      this.numbers[n].textContent = number(value);
      this.numbers[n].setAttribute("y", Math.min(top, n < rings.length ? this.y(rings[n]) - 7 : top) - 5);
      if (n < rings.length) {
        this.rings[n].setAttribute("cy", this.y(rings[n]));
        this.rings[n].setAttribute("visibility", "visible");
      }
    });
    this.element.setAttribute("aria-label", words);
  }
}

/** A table of numbers from 0 to 1 as a picture, one cell for each. */
export class Cells {
  /** @param {string} name @param {Node | string} title @param {number} height in rem */
  constructor(name, title, height) {
    this.canvas = html("canvas", { role: "img", class: "cells" });
    this.canvas.style.height = `${height}rem`;
    this.frame = html("div", { class: "frame" }, this.canvas);
    this.title = html("div", { class: "title" }, title);
    this.panel = html("div", { class: "panel", "data-panel": name }, this.title, this.frame);
  }

  /** @param {(number | null)[][]} rows from the top @param {string} words */
  draw(rows, words) {
    [this.canvas.height, this.canvas.width] = [rows.length, rows[0].length];
    const context = this.canvas.getContext("2d"),
      image = context.createImageData(rows[0].length, rows.length);
    rows.flat().forEach((value, n) => image.data.set([...shade(value), 255], 4 * n));
    context.putImageData(image, 0, 0);
    this.canvas.setAttribute("aria-label", words);
  }
}

// ColorBrewer's greens, which the book's maps have too, from none to more than all.
const GREENS = ["#f7fcf5", "#e5f5e0", "#c7e9c0", "#a1d99b", "#74c476", "#41ab5d", "#238b45", "#006d2c"].map((color) =>
  [1, 3, 5].map((place) => parseInt(color.slice(place, place + 2), 16)),
);

/** The colour of a number from 0 to 1, grey for what is not known. @param {number | null} value */
export function shade(value) {
  if (value === null || !Number.isFinite(value)) return [150, 150, 150];
  const at = (Math.max(0, Math.min(1, value)) * 8) / 1.35,
    low = Math.min(GREENS.length - 2, Math.floor(at));
  return GREENS[low].map((each, n) => Math.round(each + (at - low) * (GREENS[low + 1][n] - each)));
}

/** Play, a step at a time, and a slider of time. */
export class Transport {
  /**
   * @param {number} end @param {(time: number) => void} show @param {(time: number) => number} next where a step leads
   * @param {{words?: string, step?: number, rate?: number, stepWords?: string}} looks
   *   rate: units of time in a second
   */
  constructor(end, show, next, { words = "Time", step = 0.01, rate = 1, stepWords = "Next switch" } = {}) {
    this.end = end;
    this.rate = rate;
    this.whole = step;
    this.follow = show;
    this.time = this.first = end;
    this.player = html("button", { type: "button", class: "play" }, "▶ Play");
    this.player.onclick = () => (this.playing ? this.pause() : this.play());
    const button = html("button", { type: "button", class: "step" }, stepWords);
    button.onclick = () => {
      this.pause();
      this.show(this.time >= this.end ? 0 : Math.min(next(this.time), this.end));
    };
    this.slider = html("input", { type: "range", min: 0, max: end, step, "aria-label": words });
    this.slider.oninput = () => (this.pause(), this.show(Number(this.slider.value)));
    unlessScrolled(
      this.slider,
      () => this.time,
      (time) => this.show(time),
    );
    this.clock = html("output", { class: "clock" });
    this.element = html("div", { class: "bar transport" }, this.player, button, this.slider, this.clock);
  }

  /** @param {number} time */
  show(time) {
    this.time = time;
    this.follow(time);
  }

  /** Where time stands, and how that is said. @param {number} time @param {string} words */
  at(time, words) {
    this.time = time;
    this.slider.value = time;
    this.clock.textContent = words;
    this.slider.setAttribute("aria-valuetext", words);
  }

  play() {
    if (this.time >= this.end) this.show(0);
    this.player.textContent = "❚❚ Pause";
    this.playing = true;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches; // then a picture a second
    let [before, exact] = [performance.now(), this.time];
    const frame = (/** @type {number} */ now) => {
      if (!this.playing || !this.element.isConnected) return;
      if (!still || now - before >= 1000) {
        exact += (this.rate * Math.max(0, now - before)) / 1000;
        before = now;
        const time = Math.min(this.end, still || this.whole >= 1 ? Math.round(exact) : exact);
        if (time !== this.time) this.show(time);
      }
      if (this.time >= this.end) this.pause();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  pause() {
    this.playing = false;
    this.player.textContent = "▶ Play";
  }

  /** Back to where time stood at first. */
  reset() {
    this.pause();
    this.show(this.first);
  }
}

/**
 * A finger that begins on something that can be moved, and goes on to scroll the page, moves nothing.
 * @template T
 * @param {HTMLElement} element @param {() => T} get what there is before it is moved @param {(before: T) => void} set
 */
export function unlessScrolled(element, get, set) {
  let before = get();
  element.addEventListener("pointerdown", () => (before = get()), { capture: true });
  element.addEventListener("pointercancel", () => set(before));
}
