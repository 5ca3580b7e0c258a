// @ts-check
/** One switch in the plane of the tasks: a flexible network beside a forgetful one, time under your finger. */
import { Explorer, filled } from "./explorer.js";
import { Plane, Transport, letter, number } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { runs, teachers, times, task, code } = model.get("state");
    const last = times.length - 1,
      end = times[last];
    const size = Math.hypot(teachers[0][0], teachers[0][1]);
    const planes = runs.map(({ name }) => new Plane(name, "since the switch"));

    /** Where the output is, in units of the teachers. @param {any} run @param {number} frame */
    const output = (run, frame) =>
      [0, 1].map((d) => run.gates[frame].reduce((sum, gate, p) => sum + (gate * run.weights[frame][p][d]) / size, 0));

    const show = (/** @type {number} */ time) => {
      const frame = Math.round((time / end) * last);
      const said = runs.map((run, n) => {
        const error = output(run, frame).reduce((sum, each, d) => sum + (each - teachers[task][d] / size) ** 2, 0);
        const heldAt = (/** @type {number} */ frame) =>
          run.weights[frame].map((path) => path.map((each) => each / size));
        const held = heldAt(frame),
          sinceSwitch = Array.from({ length: frame }, (_, before) => heldAt(before));
        const words = `${run.name}: at ${number(Math.sqrt(error))} from task ${letter(task)}`;
        planes[n].at(
          held,
          run.gates[frame],
          [0, 1],
          `${words}. Arrows are paths, strong where the gate is open.`,
          [0, 1].map((p) => sinceSwitch.map((each) => each[p])),
        );
        return words;
      });
      transport.at(time, `time ${number(time)}`);
      return `${number(time)} after the switch. Distance from the right answer, ${said.join("; ").replaceAll(": at", ":")}.`;
    };
    const transport = new Transport(
      end,
      (time) => explorer.choose({ time }),
      (time) => time + end / 20,
      {
        words: "Time since the switch",
        step: Number((end / last).toPrecision(3)),
        rate: end / 6,
        stepWords: "A little on",
      },
    );

    /** @type {Explorer} */
    const explorer = new Explorer(el, {
      label: "One switch of task, step by step",
      values: { time: Number((0.1 * end).toPrecision(3)) },
      controls: {},
      plots: planes.map((plane) => plane.panel),
      transport,
      update: ({ time }) => show(time),
      code: (values) => filled(code, values),
    });
  },
};
