// @ts-check
/** You are the gates: two trained paths, and what they add up to. */
import { Explorer, filled } from "./explorer.js";
import { Bars, Plane, linear, number } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { start, code } = model.get("state");
    const targets = start.targets.map((/** @type {number[][]} */ [row]) => row);
    const paths = start.weights.map((/** @type {number[][]} */ [row]) => row);
    const dot = (/** @type {number[]} */ u, /** @type {number[]} */ v) =>
      u.reduce((sum, each, d) => sum + each * v[d], 0);
    const plane = new Plane("What you compute");
    const bars = new Bars("losses", "Loss on each task", ["task A", "task B"], [0, 0.6]);
    // the part of each path in the plane of the tasks, in units of these
    const shares = paths.map((/** @type {number[]} */ path) =>
      targets.map((/** @type {number[]} */ target) => dot(path, target) / dot(target, target)),
    );

    const update = (/** @type {Values} */ { first, second }) => {
      const losses = targets.map((/** @type {number[]} */ target) => {
        const error = target.map((each, d) => each - first * paths[0][d] - second * paths[1][d]);
        return dot(error, error) / 2;
      });
      const told = `Gates ${number(first)} and ${number(second)}: the loss is ${number(losses[0])} on task A, ${number(losses[1])} on task B.`;
      plane.at(shares, [first, second], [0, 1], `The two paths in the plane of the tasks. ${told}`);
      bars.draw(losses, `Loss on both tasks. ${told}`);
      return told;
    };

    new Explorer(el, {
      label: "You are the gates",
      values: { first: 1, second: 0 },
      presets: {
        "task A": {},
        "task B": { first: 0, second: 1 },
        "half and half": { first: 0.5, second: 0.5 },
        "all shut": { first: 0 },
      },
      controls: {
        first: { words: "Gate of path 1", scale: linear(-0.5, 1.5, 0.01), told: (v) => number(v) },
        second: { words: "Gate of path 2", scale: linear(-0.5, 1.5, 0.01), told: (v) => number(v) },
      },
      plots: [plane.panel, bars.panel],
      update,
      code: (values) => filled(code, values),
    });
  },
};
