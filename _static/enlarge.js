/* Every picture has a button that shows it large: on a phone to be moved under the finger, else as large as the window, and
   larger where it is clicked. */
document.addEventListener("DOMContentLoaded", () => {
  const make = (name, properties) => Object.assign(document.createElement(name), properties);
  const phone = matchMedia("(max-width: 700px)");
  const pictures = document.querySelectorAll("article .cell_output img:not(.explorer-place img)");
  for (const picture of /** @type {NodeListOf<HTMLImageElement>} */ (pictures)) {
    const button = make("button", { type: "button", className: "enlarge", textContent: "Enlarge the picture" });
    picture.after(button);
    picture.addEventListener("click", () => phone.matches || button.click());
    button.onclick = () => {
      const dialog = make("dialog", { className: "enlarged" });
      dialog.setAttribute("aria-label", "The picture, large");
      const large = make("img", { src: picture.src, alt: picture.alt });
      large.style.filter = getComputedStyle(picture).filter;
      const size = make("button", { type: "button" });
      const fit = (/** @type {boolean} */ fitted) => {
        dialog.classList.toggle("fitted", fitted);
        size.textContent = fitted ? "Larger" : "Fit to the window";
      };
      size.onclick = () => fit(!dialog.classList.contains("fitted"));
      large.onclick = ({ offsetX, offsetY }) => {
        if (phone.matches) return;
        const [x, y] = [offsetX / large.clientWidth, offsetY / large.clientHeight];
        size.click();
        dialog.scrollTo(x * dialog.scrollWidth - innerWidth / 2, y * dialog.scrollHeight - innerHeight / 2);
      };
      const close = make("button", { type: "button", textContent: "Close" });
      close.onclick = () => dialog.close();
      dialog.onkeydown = (event) => event.stopPropagation(); // else Sphinx takes Escape for itself once a click was in here
      dialog.onclose = () => (dialog.remove(), button.focus({ focusVisible: phone.matches }));
      const buttons = make("div", {});
      buttons.append(size, close);
      dialog.append(large, buttons);
      fit(!phone.matches);
      document.body.append(dialog);
      dialog.showModal();
    };
  }
});
