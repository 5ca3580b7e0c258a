// @ts-check
/* Explorers in pages: where no kernel is, the data that a cell left beside its still picture are all they need. */
(function () {
  "use strict";
  const { files, modules } = /** @type {any} */ (window).gatedlibExplorers;

  /** @type {Record<string, string>} */
  const addresses = {};
  const load = (/** @type {string} */ name) => {
    // from the text: a page that is opened from a folder may load no module from a file
    addresses[name] ??= URL.createObjectURL(
      new Blob(
        modules[name].map((/** @type {string} */ file) => files[file]),
        { type: "text/javascript" },
      ),
    );
    return import(addresses[name]);
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".explorer-place"))) {
      const data = JSON.parse(place.querySelector("script[type='application/json']")?.textContent ?? "");
      const model = { get: (/** @type {string} */ name) => data[name], set() {}, on() {}, off() {}, save_changes() {} };
      load(place.dataset.explorer ?? "").then(({ default: { render } }) => {
        render({ model, el: place });
        place.dataset.live = "";
      });
    }
  });
})();
