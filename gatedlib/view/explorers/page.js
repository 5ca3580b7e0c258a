/* Explorers in pages: where no kernel is, the data that a cell left beside its still picture are all they need. */
(function () {
  "use strict";
  const { shared, modules } = window.gatedlibExplorers;

  const addresses = {};
  const load = (name) => {
    // from the text: a page that is opened from a folder may load no module from a file
    addresses[name] ??= URL.createObjectURL(new Blob([shared, modules[name]], { type: "text/javascript" }));
    return import(addresses[name]);
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".explorer-place")) {
      const data = JSON.parse(place.querySelector("script[type='application/json']").textContent);
      const model = { get: (name) => data[name], set() {}, on() {}, off() {}, save_changes() {} };
      load(place.dataset.explorer).then(({ default: { render } }) => {
        render({ model, el: place });
        place.dataset.live = "";
      });
    }
  });
})();
