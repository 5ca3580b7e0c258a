/* On small screens every picture gets a button that shows it large, to be moved under the finger. */
document.addEventListener("DOMContentLoaded", () => {
  const make = (name, properties) => Object.assign(document.createElement(name), properties);
  const pictures = document.querySelectorAll("article .cell_output img:not(.explorer-place img)");
  for (const picture of /** @type {NodeListOf<HTMLImageElement>} */ (pictures)) {
    const button = make("button", { type: "button", className: "enlarge", textContent: "Enlarge the picture" });
    picture.after(button);
    button.onclick = () => {
      const dialog = make("dialog", { className: "enlarged" });
      dialog.setAttribute("aria-label", "The picture, large");
      const large = make("img", { src: picture.src, alt: picture.alt });
      large.style.filter = getComputedStyle(picture).filter;
      const close = make("button", { type: "button", textContent: "Close" });
      close.onclick = () => dialog.close();
      dialog.onclose = () => (dialog.remove(), button.focus());
      dialog.append(large, close);
      document.body.append(dialog);
      dialog.showModal();
    };
  }
});
