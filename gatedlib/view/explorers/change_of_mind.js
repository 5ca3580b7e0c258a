// @ts-check
/** A change of mind: what the same pictures are called, step by step after a switch, by one network and by another. */
import { Explorer, filled } from "./explorer.js";
import { Transport, html } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model @typedef {import("./parts.js").Values} Values */

export default {
  /** @param {{model: Model, el: HTMLElement}} host */
  render({ model, el }) {
    const { runs, pictures, step, code } = model.get("state");
    const last = runs[0].called.length - 1;
    const rows = runs.map(({ name }) => {
      const answers = pictures.map(() => html("span", { class: "answer" }));
      const cells = pictures.map((address, n) =>
        html("div", { class: "picture" }, html("img", { src: address, alt: "" }), answers[n]),
      );
      const count = html("span", {});
      const row = html("div", { class: "pictures", role: "img" }, ...cells);
      return {
        answers,
        count,
        row,
        whole: html("div", { class: "panel" }, html("div", { class: "title" }, html("span", {}, name), count), row),
      };
    });

    const update = (/** @type {Values} */ { step }) => {
      transport.at(step, `step ${step}`);
      const said = runs.map(({ name, called, wanted }, n) => {
        const right = wanted.map((each, k) => called[step][k] === each);
        rows[n].answers.forEach((answer, k) => {
          answer.textContent = `${called[step][k]} ${right[k] ? "✓" : "✗"}`;
          answer.className = `answer ${right[k] ? "right" : "wrong"}`;
        });
        const count = right.filter(Boolean).length;
        rows[n].count.textContent = `${count} of ${wanted.length} right`;
        rows[n].row.setAttribute(
          "aria-label",
          `${name}: the pictures are called ${called[step].join(", ")}; ${count} are right.`,
        );
        return `the ${name} network has ${count} of ${wanted.length} right`;
      });
      return `${step === 1 ? "1 step" : `${step} steps`} after the switch ${said.join(", ")}.`;
    };
    const transport = new Transport(
      last,
      (step) => explorer.choose({ step: Math.round(step) }),
      (step) => step + 1,
      {
        words: "Steps since the switch",
        step: 1,
        rate: 5,
        stepWords: "Next step",
      },
    );
    /** @type {Explorer} */
    const explorer = new Explorer(el, {
      label: "A change of mind, step by step",
      values: { step },
      presets: { "at the switch": { step: 0 }, "a few steps on": {}, [`after ${last} steps`]: { step: last } },
      controls: {},
      plots: [html("div", { class: "charts wide" }, ...rows.map((each) => each.whole))],
      transport,
      update,
      code: (values) => filled(code, values),
    });
  },
};
