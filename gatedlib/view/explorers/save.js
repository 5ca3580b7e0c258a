// @ts-check
/** Files of what is shown: numbers as CSV, charts as one SVG, both with the settings that made them. */
import { svg } from "./parts.js";

/** @typedef {import("./parts.js").Chart} Chart */

const LOOKS = ["stroke", "stroke-width", "stroke-dasharray", "fill", "fill-opacity", "opacity"];
const [WIDTH, HEIGHT, MARGIN, HEAD] = [600, 180, 20, 34]; // of a chart, and around it

/**
 * Numbers in long form, a line for each; the settings stand above as comments.
 * @param {string[]} settings @param {{run: string, drawing: import("./bench_charts.js").Drawing}[]} drawings each with the name of its run
 */
export function csvOf(settings, drawings) {
  const lines = /** @type {string[]} */ ([]);
  for (const { run, drawing } of drawings) {
    const { names, series, bands = [], x, from, step } = drawing;
    names.forEach((name, n) => {
      const between = bands[n];
      /** @type {[string, ArrayLike<number>][]} */
      const all = between
        ? [
            [`${name} (median)`, series[n]],
            [`${name} (10 %)`, between[0]],
            [`${name} (90 %)`, between[1]],
          ]
        : [[name, series[n]]];
      for (const [quantity, values] of all)
        for (let t = 0; t < values.length; t++)
          if (Number.isFinite(values[t]))
            lines.push(
              [run, quantity, x, Number((from + t * step).toPrecision(9)), Number(values[t].toPrecision(7))].join(),
            );
    });
  }
  return [...settings.map((each) => `# ${each}`), "run,quantity,axis,x,value", ...lines, ""].join("\n");
}

/** One picture of some charts, side by side, with the settings below. @param {Chart[]} charts @param {string[]} settings */
export function svgOf(charts, settings) {
  const columns = 2,
    rows = Math.ceil(charts.length / columns);
  const [wide, high] = [WIDTH + MARGIN, HEIGHT + HEAD + MARGIN];
  const lines = settings.flatMap((each) => each.match(/.{1,170}(?:, |$)/g) ?? []);
  const whole = svg("svg", {
    viewBox: `0 0 ${columns * wide + MARGIN} ${rows * high + MARGIN + 18 * lines.length}`,
    "font-family": "sans-serif",
    "font-size": 13,
  });
  const style = getComputedStyle(charts[0].panel);
  const text = (
    /** @type {number} */ x,
    /** @type {number} */ y,
    /** @type {string} */ words,
    anchor = "start",
    fill = style.color,
  ) => svg("text", { x, y, fill, "text-anchor": anchor }, words);
  whole.append(
    svg("title", {}, charts.map((chart) => chart.title.textContent).join("; ")),
    svg("desc", {}, settings.join("\n")),
    svg("rect", { width: "100%", height: "100%", fill: backgroundOf(charts[0].panel) }),
  );
  charts.forEach((chart, n) => {
    const [x, y] = [MARGIN + (n % columns) * wide, Math.floor(n / columns) * high + HEAD];
    let along = x;
    for (const part of chart.title.children) {
      whole.append(text(along, y - 8, part.textContent ?? "", "start", getComputedStyle(part).color));
      along += 7.2 * (part.textContent ?? "").length + 18;
    }
    const drawn = /** @type {SVGSVGElement} */ (chart.element.cloneNode(true));
    const originals = chart.element.querySelectorAll("*");
    drawn.querySelectorAll("*").forEach((each, place) => {
      const looks = getComputedStyle(originals[place]);
      for (const look of LOOKS) each.setAttribute(look, looks.getPropertyValue(look));
      each.setAttribute("vector-effect", "non-scaling-stroke");
      each.removeAttribute("class");
    });
    for (const [key, value] of Object.entries({ x, y, width: WIDTH, height: HEIGHT }))
      drawn.setAttribute(key, String(value));
    drawn.removeAttribute("style");
    whole.append(
      drawn,
      svg("rect", { x, y, width: WIDTH, height: HEIGHT, fill: "none", stroke: style.color, "stroke-width": 0.5 }),
    );
    const [top, bottom] = chart.ticks.map((/** @type {HTMLElement} */ tick) => tick.textContent ?? "");
    whole.append(text(x + 4, y + 14, top), text(x + 4, y + HEIGHT - 5, bottom));
    const ends = chart.ends.map((/** @type {HTMLElement} */ end) => end.textContent ?? "");
    ["start", "middle", "end"].forEach((anchor, place) =>
      whole.append(text(x + (place * WIDTH) / 2, y + HEIGHT + 15, ends[place], anchor)),
    );
  });
  lines.forEach((line, n) => whole.append(text(MARGIN, rows * high + MARGIN + 18 * n, line)));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(whole)}\n`;
}

/** The colour behind an element. @param {Element | null} element */
function backgroundOf(element) {
  for (; element; element = element.parentElement) {
    const { backgroundColor } = getComputedStyle(element);
    if (!/^(transparent|rgba\(.*, 0\))$/.test(backgroundColor)) return backgroundColor;
  }
  return "#fff";
}

/** Give the reader a file. @param {string} name @param {string} type @param {string} text */
export function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
