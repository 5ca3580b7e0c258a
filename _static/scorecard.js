/* Above the table of all claims: a choice of chapter, of what it is about and of verdict. Without scripts the table is whole. */
document.addEventListener("DOMContentLoaded", () => {
  const table = /** @type {HTMLTableElement | null} */ (document.querySelector("table.scorecard"));
  if (!table) return;
  const rows = [...table.tBodies[0].rows];
  const make = (name, properties) => Object.assign(document.createElement(name), properties);
  const bar = make("div", { className: "scorecard-filters" });
  const count = make("output", {});
  const chapters = [...new Set(rows.map((row) => row.dataset.chapter ?? ""))].map((name) => [name, name]);
  /** @type {[string, string, string[][]][]} */
  const offered = [
    ["chapter", "Chapter", [["", "all"], ...chapters]],
    [
      "origin",
      "About",
      [
        ["", "all"],
        ["given", "a figure, as given"],
        ["earlier", "a figure, earlier form"],
        ["ours", "a figure, our settings"],
        ["beyond", "beyond the paper"],
      ],
    ],
    [
      "holds",
      "Verdict",
      [
        ["", "all"],
        ["true", "holds"],
        ["false", "does not hold"],
      ],
    ],
  ];
  const choices = offered.map(([key, words, options]) => {
    const select = make("select", { onchange: show });
    select.append(...options.map(([value, text]) => make("option", { value, textContent: text })));
    const label = make("label", { textContent: `${words} ` });
    label.append(select);
    bar.append(label);
    return { key, select };
  });
  function show() {
    for (const row of rows)
      row.hidden = choices.some(({ key, select }) => select.value && row.dataset[key] !== select.value);
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
  }
  bar.append(count);
  table.before(bar);
  show();
});
