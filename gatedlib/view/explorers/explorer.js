// @ts-check
/** The frame that all explorers share: controls, words, buttons, and the address of the page, which holds the settings. */
import { html, unlessScrolled } from "./parts.js";
import { download, listOf, svgOf } from "./save.js";

/**
 * @typedef {import("./parts.js").Values} Values @typedef {import("./parts.js").Control} Control
 * @typedef {import("./parts.js").Transport} Transport @typedef {import("./parts.js").Scale} Scale
 */

/** Code with the values of controls in the places of their names. @param {string} template @param {Values} values */
export const filled = (template, values) =>
  template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? python(values[name]) : whole));

/** A value as Python writes it. @param {any} value @returns {string} */
const python = (value) => (Array.isArray(value) ? `[${value.map(python).join(", ")}]` : String(value));

/** What cannot be done with what was asked for: words for the reader. */
export class Refusal extends Error {}

/** A text as it stands in a sentence about it: short. @param {string} text */
const quoted = (text) => (text.length > 30 ? `${text.slice(0, 30)}…` : text);

/**
 * The settings of an explorer in the address of its page, behind the #: its name and version, and all that differs from
 * what it begins with; behind "kept." those of a second one that is shown beside it.
 */
export class Address {
  /**
   * @param {string} name @param {number} version raised where a setting changes its name, its meaning or its first value
   * @param {Values} first @param {Record<string, Control>} controls
   */
  constructor(name, version, first, controls) {
    this.name = name;
    this.version = version;
    this.first = first;
    this.controls = controls;
  }

  /** @param {Values} values @param {Values | null} kept @returns {string} empty for those that it begins with */
  write(values, kept) {
    const parts = [`${this.name}=${this.version}`];
    const add = (/** @type {Values} */ values, before = "") => {
      for (const name of Object.keys(this.first))
        if (values[name] !== this.first[name])
          parts.push(`${before}${name}=${encodeURIComponent(values[name]).replace(/%20/g, "+")}`);
    };
    if (kept) {
      parts.push("kept=1");
      add(kept, "kept.");
    }
    add(values);
    return parts.length > 1 ? `#${parts.join("&")}` : "";
  }

  /**
   * What an address asks for, all of it or nothing.
   * @param {string} hash @returns {{values: Values, kept: Values | null} | null} null if it is about something else
   */
  read(hash) {
    if (!hash.startsWith(`#${this.name}=`)) return null;
    const given = new URLSearchParams(hash.slice(1)),
      version = given.get(this.name);
    if (version !== String(this.version))
      throw new Refusal(
        `This link was made for version “${quoted(version ?? "")}” of what is shown here, and this is version ${this.version}, in which settings have other meanings`,
      );
    const values = { ...this.first },
      kept = given.has("kept") ? { ...this.first } : null;
    const seen = new Set();
    for (const [key, text] of given) {
      if (seen.has(key)) throw new Refusal(`The link says ${quoted(key)} twice`);
      seen.add(key);
      if (key === this.name || (key === "kept" && text === "1")) continue;
      const name = key.replace(/^kept\./, ""),
        of = name === key ? values : kept;
      if (!of || !Object.hasOwn(this.first, name))
        throw new Refusal(`The link has a setting “${quoted(key)}”, and there is none of that name`);
      of[name] = this.value(name, text);
    }
    return { values, kept };
  }

  /** @param {string} name @param {string} text */
  value(name, text) {
    const { scale, options } = this.controls[name];
    if (scale) {
      const value = Number(text);
      if (text.trim() === "" || !scale.has(value))
        throw new Refusal(`The link says ${name} = ${quoted(text)}, and it ${scale.rule}`);
      return value;
    }
    if (options ? !options.includes(text) : text.length > 200)
      throw new Refusal(
        `The link says ${name} = ${quoted(text)}, and it is ${options ? `one of ${options.join("; ")}` : "no longer than 200 signs"}`,
      );
    return text;
  }
}

/**
 * Controls, what they move, a line of words, and buttons: the frame that all explorers share.
 *
 * `update` draws for the values of the controls, and gives the words that say what is seen. In a page the values stand in
 * the address, so that they can be sent to somebody, and the way back leads to those before.
 */
export class Explorer {
  /**
   * @param {HTMLElement} el its place; in a page it says by which name the address knows it
   * @param {{label: string, controls: Record<string, Control>, values: Values, presets?: Record<string, Values>,
   *   plots: Node[], transport?: Transport, update: (values: Values, explorer: any) => string, code: (values: Values, explorer: any) => string,
   *   version?: number, refusals?: (values: Values) => Record<string, string>, settings?: () => string[]}} parts
   *   refusals: of values that cannot be, what is said beside the controls of these names; settings: of what is drawn,
   *   where this may be another thing than what the controls say
   */
  constructor(
    el,
    {
      label,
      controls,
      values,
      presets = {},
      plots,
      transport,
      update,
      code,
      version = 1,
      refusals = () => ({}),
      settings,
    },
  ) {
    this.transport = transport;
    this.first = values;
    this.values = { ...values };
    /** @type {Values | null} */
    this.kept = null;
    this.update = update;
    this.code = code;
    this.settings = settings ?? (() => [listOf(this.values)]);
    this.controls = controls;
    this.refusals = refusals;
    /** @type {Record<string, string>} */
    this.refusalsNow = {};
    this.status = html("p", { class: "status", "aria-hidden": "true" });
    this.spoken = html("p", { class: "spoken", role: "status" });
    this.refused = html("p", { class: "refused", role: "alert" });
    this.source = html("pre", { class: "source", hidden: "", tabindex: 0, "aria-label": "Python code" });
    /** @type {Record<string, () => void>} */
    this.followers = {};
    const rows = (/** @type {string | undefined} */ fold) =>
      Object.entries(controls)
        .filter(([, control]) => control.fold === fold)
        .map(([name, control]) => this.control(name, control));
    this.presets = Object.entries(presets).map(([name, chosen]) => {
      const button = html("button", { type: "button", "data-preset": name }, name);
      const all = { ...this.first, ...chosen };
      button.onclick = () => this.choose(all);
      return { button, all };
    });
    const folds = [...new Set(Object.values(controls).map((control) => control.fold))].filter((fold) => fold);
    const timed = transport && Object.keys(controls).length > 0 ? " timed" : "";
    this.element = html("div", { class: `explorer${timed}`, role: "group", "aria-label": label });
    if (this.presets.length > 0)
      this.element.append(
        html(
          "div",
          { class: "bar", role: "group", "aria-label": "Presets" },
          ...this.presets.map((each) => each.button),
        ),
      );
    this.element.append(html("div", { class: "plots" }, ...plots));
    if (transport) this.element.append(transport.element);
    this.element.append(this.refused, this.status, this.spoken);
    this.element.append(html("div", { class: "controls" }, ...rows(undefined)));
    for (const fold of folds)
      this.element.append(
        html("details", {}, html("summary", {}, fold), html("div", { class: "controls" }, ...rows(fold))),
      );
    const { explorer: name } = el.dataset;
    // what has no control is moved by time
    const whole = (/** @type {number} */ value) => (transport?.whole ?? 0) < 1 || Number.isInteger(value);
    const end = transport?.end ?? 0,
      has = (/** @type {number} */ value) => value >= 0 && value <= end && whole(value);
    const movedByTime = Object.fromEntries(
      Object.keys(values).map((name) => [name, { words: name, scale: { has, rule: `goes from 0 to ${end}` } }]),
    );
    this.address = name
      ? new Address(name, version, this.first, /** @type {any} */ ({ ...movedByTime, ...controls }))
      : null;
    this.element.append(this.buttons(), this.source);
    this.element.explorer = this;
    el.replaceChildren(this.element);
    if (this.address) {
      addEventListener("popstate", () => this.open());
      if (location.hash && this.open()) return;
    }
    this.refresh();
  }

  /** @param {string} name @param {Control} control */
  control(name, { words, scale, options, told = String }) {
    const value = html("output");
    const field = scale
      ? html("input", { type: "range", min: 0, max: scale.last, step: 1, "data-setting": name })
      : options
        ? html("select", { "data-setting": name }, ...options.map((each) => html("option", {}, each)))
        : html("input", { type: "text", maxlength: 200, spellcheck: "false", "data-setting": name });
    unlessScrolled(
      field,
      () => this.values,
      (values) => this.choose(values),
    );
    const first = this.first[name]; // which need not be one of the scale's own values
    const chosen = (/** @type {Scale} */ scale, place = Number(field.value)) =>
      place === scale.place(first) ? first : scale.value(place);
    field.oninput = () => this.choose({ ...this.values, [name]: scale ? chosen(scale) : field.value });
    const zero = scale?.place(0) ?? NaN;
    const mark = html("datalist", { id: `zero-${Math.random().toString(36).slice(2)}` });
    if (scale && zero > 0 && zero < scale.last && scale.value(zero) === 0) {
      mark.append(html("option", { value: zero })); // browsers draw a tick there
      field.setAttribute("list", mark.id);
    }
    const why = html("span", { class: "why", id: `why-${Math.random().toString(36).slice(2)}` });
    field.setAttribute("aria-describedby", why.id);
    const row = html("label", {}, html("span", { class: "named" }, words, value), field, mark, why);
    this.followers[name] = () => {
      const now = this.values[name],
        refusal = this.refusalsNow[name] ?? "";
      if (scale || options || document.activeElement !== field) field.value = scale ? scale.place(now) : now;
      row.hidden = !(this.controls[name].when?.(this.values) ?? true);
      if (why.textContent !== refusal) why.textContent = refusal;
      field.setAttribute("aria-invalid", String(refusal !== ""));
      if (!scale) return;
      value.replaceChildren(told(now));
      field.setAttribute("aria-valuetext", value.textContent);
    };
    return row;
  }

  buttons() {
    const reset = html("button", { type: "button", class: "reset" }, "Reset");
    reset.onclick = () => {
      this.transport?.reset();
      this.kept = null;
      this.choose({ ...this.first });
    };
    const copying = (/** @type {string} */ kind, /** @type {string} */ words, /** @type {() => string} */ text) => {
      const button = html("button", { type: "button", class: kind }, words);
      button.onclick = () => {
        button.style.minWidth = `${button.offsetWidth}px`; // so that what stands beside it stays where it is
        const say = (/** @type {string} */ said) => {
          button.textContent = said;
          setTimeout(() => (button.textContent = words), 1500);
        };
        const refused = () => kind === "link" && say("It is in the address line"); // code is shown all the same
        const copied = text();
        navigator.clipboard?.writeText(copied).then(() => say("Copied"), refused) ?? refused();
      };
      return button;
    };
    const code = copying("copy", "Copy the code that makes this", () => {
      this.source.hidden = false;
      return this.source.textContent;
    });
    const link = copying("link", "Copy a link to this", () => {
      this.remember();
      return location.href;
    });
    const picture = html("button", { type: "button", class: "svg" }, "Picture (SVG)");
    picture.onclick = () => {
      if (!this.element.querySelector(".panel")) return; // nothing is shown
      const drawn = svgOf(this.element, this.settings());
      download(`${this.address?.name ?? "explorer"}.svg`, "image/svg+xml", drawn);
    };
    return html("div", { class: "bar buttons" }, reset, code, ...(this.address ? [link] : []), picture);
  }

  /** What the address of the page asks for; whether it is about this explorer. */
  open() {
    clearTimeout(this.remembering);
    this.refused.textContent = "";
    try {
      const asked = this.address?.read(location.hash);
      if (!asked && location.hash !== "") return false; // a place in the page
      this.transport?.pause();
      const [refused] = Object.values(asked?.kept ? this.refusals(asked.kept) : {});
      if (refused) throw new Refusal(`The link keeps settings that do not go together: ${refused.replace(/\.$/, "")}`);
      this.kept = asked?.kept ?? null;
      this.values = asked?.values ?? { ...this.first };
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      this.refused.textContent = `${refusal.message}. Nothing of it was taken.`;
      this.kept = null;
      this.values = { ...this.first };
    }
    this.refresh();
    const { top, bottom } = this.element.getBoundingClientRect();
    if (location.hash !== "" && (bottom < 0 || top > innerHeight / 2)) this.element.scrollIntoView();
    return true;
  }

  /** Let the address say what is chosen, as a step that the way back leads over. */
  remember() {
    clearTimeout(this.remembering);
    const hash = this.address?.write(this.values, this.kept) ?? "";
    const now = location.hash.startsWith(`#${this.address?.name}=`) ? location.hash : "";
    if (hash !== now) history.pushState(null, "", hash || location.href.split("#")[0]);
  }

  /** New values of the controls; drawn once for each frame of the screen. @param {Values} values */
  choose(values) {
    this.values = values;
    this.refused.textContent = "";
    clearTimeout(this.remembering);
    if (this.address) this.remembering = setTimeout(() => this.remember(), 700); // once it comes to rest
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.refresh();
    });
  }

  refresh() {
    this.refusalsNow = this.refusals(this.values);
    this.tell(this.update(this.values, this));
    for (const follow of Object.values(this.followers)) follow();
    for (const { button, all } of this.presets) {
      const same = Object.entries(all).every(([name, value]) => this.values[name] === value);
      button.setAttribute("aria-pressed", String(same));
    }
    this.source.textContent = this.code(this.values, this);
  }

  /** Whether something is being computed. @param {boolean} now */
  set busy(now) {
    this.element.setAttribute("aria-busy", String(now));
  }

  /** Say what is seen; aloud once all has come to rest: a screen reader should not talk all the time. @param {string} words */
  tell(words) {
    this.status.textContent = words;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      if (this.element.getAttribute("aria-busy") !== "true") this.spoken.textContent = words;
    }, 250);
  }
}
