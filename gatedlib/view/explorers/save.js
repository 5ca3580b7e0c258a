// @ts-check
/** Files of what is shown: numbers as CSV, a picture as SVG, both with the settings that made them. */
import { svg } from "./parts.js";

const LOOKS = [
  ...["stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "fill", "fill-opacity", "opacity", "visibility"],
  ...["vector-effect", "font-size"],
];
const [MARGIN, GAP, LINE] = [16, 6, 15]; // pixels around a picture, between rows, and from one line of settings to the next

/** Settings as they stand in files. @param {import("./parts.js").Values} values */
export const listOf = (values) =>
  Object.entries(values)
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ");

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

/**
 * Lines of text, where they stand, and which of them stand above curves.
 * @param {Element} within @returns {{words: string, box: DOMRect, style: CSSStyleDeclaration, above: boolean}[]}
 */
function linesOf(within) {
  const lines = [];
  const walker = document.createTreeWalker(within, NodeFilter.SHOW_TEXT),
    range = document.createRange();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!parent || parent.closest("svg")) continue;
    let line = null;
    for (const word of (node.textContent ?? "").matchAll(/\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const box = range.getBoundingClientRect();
      if (box.width === 0) continue; // not shown
      if (line && Math.abs(line.box.top - box.top) < 1) line.words += ` ${word[0]}`;
      else {
        line = { words: word[0], box, style: getComputedStyle(parent), above: parent.matches(".tick") };
        lines.push(line);
      }
    }
  }
  return lines;
}

/** A drawing as it looks in the page, whatever the style of where it goes. @param {Element} drawing */
function withLooks(drawing) {
  const copy = /** @type {SVGSVGElement} */ (drawing.cloneNode(true)),
    originals = drawing.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((each, place) => {
    const looks = getComputedStyle(originals[place]);
    for (const look of LOOKS) each.setAttribute(look, looks.getPropertyValue(look));
    each.removeAttribute("class");
  });
  copy.removeAttribute("style");
  return copy;
}

/**
 * Where panels stand in a picture: as in the page, without what is between them there.
 * @param {Element[]} panels @returns {{ups: Map<Element, number>, left: number, width: number, height: number}}
 *   `ups`: by how much each is moved upwards
 */
function packed(panels) {
  const boxes = panels.map((panel) => ({ panel, box: panel.getBoundingClientRect() }));
  boxes.sort((one, other) => one.box.top - other.box.top);
  const ups = new Map();
  let [height, bottom, up] = [0, -Infinity, 0];
  for (const { panel, box } of boxes) {
    if (box.top > bottom - 1) up = box.top - height; // a new row
    ups.set(panel, up);
    bottom = Math.max(bottom, box.bottom);
    height = bottom - up + GAP;
  }
  const left = Math.min(...boxes.map(({ box }) => box.left)),
    right = Math.max(...boxes.map(({ box }) => box.right));
  return { ups, left, width: right - left, height };
}

/** What an explorer shows, as one picture, with its settings below. @param {Element} element @param {string[]} settings */
export function svgOf(element, settings) {
  const panels = [...element.querySelectorAll(".panel")],
    { ups, left, width, height } = packed(panels);
  const wide = Math.floor(width / 5.5), // letters in a line
    line = new RegExp(`.{1,${wide}}(?:, | |$)|.{1,${wide}}`, "g");
  const lines = settings.flatMap((each) => each.match(line) ?? []);
  const whole = [width + 2 * MARGIN, height + 2 * MARGIN + LINE * (lines.length + 1)];
  const picture = svg("svg", {
    viewBox: `0 0 ${whole.join(" ")}`,
    width: whole[0],
    height: whole[1],
    "font-family": "sans-serif",
  });
  picture.append(svg("desc", {}, settings.join("\n")));
  picture.append(svg("rect", { width: "100%", height: "100%", fill: backgroundOf(element) }));
  for (const panel of panels) {
    const place = (/** @type {DOMRect} */ box) => ({
      x: box.left - left + MARGIN,
      y: box.top - (ups.get(panel) ?? 0) + MARGIN,
      width: box.width,
      height: box.height,
    });
    for (const image of panel.querySelectorAll("canvas, img"))
      picture.append(
        svg("image", {
          ...place(image.getBoundingClientRect()),
          href: image instanceof HTMLCanvasElement ? image.toDataURL() : /** @type {HTMLImageElement} */ (image).src,
          preserveAspectRatio: "none",
          style: `image-rendering: pixelated; filter: ${getComputedStyle(image).filter}`,
        }),
      );
    for (const drawing of panel.querySelectorAll("svg")) {
      const at = place(drawing.getBoundingClientRect()),
        stroke = getComputedStyle(drawing).borderTopColor;
      const copy = withLooks(drawing);
      for (const [key, value] of Object.entries(at)) copy.setAttribute(key, String(value));
      picture.append(copy);
      if (drawing.closest(".frame")) picture.append(svg("rect", { ...at, fill: "none", stroke }));
    }
    for (const key of panel.querySelectorAll(".key")) {
      const { x, y, height } = place(key.getBoundingClientRect()),
        looks = getComputedStyle(key, "::before");
      picture.append(
        svg("line", {
          x1: x,
          x2: x + parseFloat(looks.width),
          y1: y + height / 2,
          y2: y + height / 2,
          stroke: looks.borderTopColor,
          "stroke-width": parseFloat(looks.borderTopWidth),
          ...(looks.borderTopStyle === "solid" ? {} : { "stroke-dasharray": "5 3" }),
        }),
      );
    }
    for (const point of panel.querySelectorAll(".point")) {
      const { x, y, width, height } = place(point.getBoundingClientRect());
      const ring = { cx: x + width / 2, cy: y + height / 2, fill: "none" };
      picture.append(svg("circle", { ...ring, r: 7.5, stroke: "#000", "stroke-width": 6 }));
      picture.append(svg("circle", { ...ring, r: 7.5, stroke: "#fff", "stroke-width": 3 }));
    }
    for (const { words, box, style, above } of linesOf(panel)) {
      const { x, y, height } = place(box);
      if (above) picture.append(svg("rect", { ...place(box), fill: backgroundOf(element), "fill-opacity": 0.8 }));
      const looks = { fill: style.color, "font-size": style.fontSize, "font-style": style.fontStyle };
      picture.append(svg("text", { x, y: y + 0.79 * height, ...looks }, words));
    }
  }
  const fill = getComputedStyle(element).color;
  lines.forEach((line, n) =>
    picture.append(svg("text", { x: MARGIN, y: height + 2 * MARGIN + LINE * (n + 0.5), fill, "font-size": 11 }, line)),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(picture)}\n`;
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
