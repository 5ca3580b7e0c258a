// @ts-check
/** Explorers in pages. */

/**
 * Bring an explorer to its places in the page: where no kernel is, the data that a cell left beside its still picture are
 * all that it needs.
 * @param {string} name @param {{render: (host: {model: import("./parts.js").Model, el: HTMLElement}) => void}} explorer
 */
export function bring(name, { render }) {
  const places = `.explorer-place[data-explorer="${name}"]`;
  for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(places))) {
    const data = JSON.parse(place.querySelector("script[type='application/json']")?.textContent ?? "");
    render({ model: { get: (/** @type {string} */ name) => data[name] }, el: place });
    place.dataset.live = "";
  }
}
