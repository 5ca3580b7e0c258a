/* Brings the figures called fig-play… to life: the reduced model under your hands, in place of a still picture. */
(function () {
  "use strict";

  const TAU_W = 1.3, DURATION = 20, DT = 1e-3;
  const BUCKETS = 700; // points of a curve; each stands for the lowest and the highest value nearby
  const PRESETS = {
    flexible: {},
    forgetful: { tau_c: TAU_W, a: 0, b: 0 },
    "blocks too short": { block_length: 0.1 },
    "no bound": { b: 0 },
  };
  const FLEXIBLE = { tau_c: 0.03, a: 0.0909, b: 0.909, block_length: 1, held: 0, gate1: 0.5, gate2: 0.5 };
  const SMALL = [[0.0003, -0.0003], [0.0014, 0.0002]]; // a first random start, of the size that networks have

  const linear = (low, high, step) => ({
    last: Math.round((high - low) / step),
    value: (position) => Number((low + position * step).toFixed(4)),
    position: (value) => Math.round((value - low) / step),
  });
  const speeds = {
    last: 120,
    value: (position) => Number((TAU_W / (0.5 * 400 ** (position / 120))).toPrecision(3)),
    position: (value) => Math.round((120 * Math.log(TAU_W / value / 0.5)) / Math.log(400)),
  };
  const speed = (tau_c) => Number((TAU_W / tau_c).toPrecision(2));
  const ratio = (tau_c) => Number((tau_c / TAU_W).toPrecision(2));
  const CONTROLS = {
    tau_c: ["How fast gates learn", speeds, (v) => `${speed(v)} × weights, τ_c/τ_w = ${ratio(v)}`],
    block_length: ["Block length", linear(0.05, 3, 0.05), (v) => v.toFixed(2)],
    a: ["Nonnegativity, a", linear(0, 0.3, 0.005), (v) => v.toFixed(3)],
    b: ["Bound on the sum, b", linear(0, 2, 0.02), (v) => v.toFixed(2)],
    held: ["Specialized at the start", linear(0, 1, 0.01), (v) => `${Math.round(100 * v)} %`],
    gate1: ["Gate 1 at the start", linear(0, 1, 0.01), (v) => v.toFixed(2)],
    gate2: ["Gate 2 at the start", linear(0, 1, 0.01), (v) => v.toFixed(2)],
  };

  /* Elements, of HTML and of SVG. */
  const make = (kind) => (name, attributes = {}, ...inside) => {
    const element = document.createElementNS(kind, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
  const html = make("http://www.w3.org/1999/xhtml");
  const svg = make("http://www.w3.org/2000/svg");

  /* The path of a curve: for every bucket of steps its lowest and highest value, in the order in which they come. */
  function trace(values, x, y) {
    const size = Math.max(1, Math.floor(values.length / BUCKETS));
    const points = [];
    for (let start = 0; start < values.length; start += size) {
      let low = start, high = start;
      for (let t = start; t < Math.min(start + size, values.length); t++) {
        if (values[t] < values[low]) low = t;
        if (values[t] > values[high]) high = t;
      }
      for (const t of new Set(low < high ? [low, high] : [high, low]))
        points.push(`${x(t).toFixed(1)},${y(values[t]).toFixed(1)}`);
    }
    return `M${points.join("L")}`;
  }

  /* A panel over time: blocks shaded by task, curves that are pale beyond the present moment. */
  class Timeline {
    static count = 0;

    constructor(name, title, curves, height) {
      this.height = height;
      const clip = `explorable-clip-${Timeline.count++}`;
      this.past = svg("rect", { x: 0, y: 0, height, width: 0 });
      this.shades = [0, 1].map((task) => svg("path", { class: `shade task-${task}` }));
      this.pale = curves.map((style) => svg("path", { class: `curve pale ${style}` }));
      this.lines = curves.map((style) => svg("path", { class: `curve ${style}`, "clip-path": `url(#${clip})` }));
      this.now = svg("line", { class: "now", y1: 0, y2: height });
      this.zero = svg("line", { class: "zero", x1: 0, x2: 600 });
      this.element = svg("svg", { viewBox: `0 0 600 ${height}`, role: "img", preserveAspectRatio: "none" });
      this.element.append(svg("clipPath", { id: clip }, this.past));
      this.element.append(...this.shades, this.zero, ...this.pale, ...this.lines, this.now);
      this.ticks = ["top", "bottom"].map((place) => html("span", { class: `tick ${place}`, "aria-hidden": "true" }));
      this.panel = html("div", { class: "panel", "data-panel": name });
      this.panel.append(html("div", { class: "title" }, title), html("div", { class: "frame" }, this.element, ...this.ticks));
    }

    draw(run, series, [low, high], words) {
      const x = (t) => (600 * t) / run.steps;
      const y = (value) => (this.height * (high - value)) / (high - low);
      this.shades.forEach((shade, task) => {
        const blocks = [];
        for (let t = task * run.block; t < run.steps; t += 2 * run.block)
          blocks.push(`M${x(t)},0H${x(Math.min(t + run.block, run.steps))}V${this.height}H${x(t)}Z`);
        shade.setAttribute("d", blocks.join(""));
      });
      this.zero.setAttribute("y1", y(0));
      this.zero.setAttribute("y2", y(0));
      series.forEach((values, n) => {
        const path = trace(values, x, y);
        this.pale[n].setAttribute("d", path);
        this.lines[n].setAttribute("d", path);
      });
      this.ticks.forEach((tick, n) => (tick.textContent = n ? low : high));
      this.element.setAttribute("aria-label", words);
    }

    at(share) {
      this.past.setAttribute("width", 600 * share);
      this.now.setAttribute("x1", 600 * share);
      this.now.setAttribute("x2", 600 * share);
    }
  }

  /* The plane of the two teachers: what each path holds, as strong as its gate is open, and what they add up to. */
  class Plane {
    constructor() {
      const target = (task, x, y) => [
        svg("circle", { class: `target task-${task}`, cx: x, cy: y, r: 9 }),
        svg("text", { class: `task-${task}`, x: x + (task ? 14 : 0), y: y + (task ? 5 : 24) }, task ? "task B" : "task A"),
      ];
      this.paths = [0, 1].map(() => [
        svg("line", { class: "weights", x1: 40, y1: 200 }),
        svg("circle", { class: "weights", r: 5 }),
      ]);
      this.output = svg("circle", { class: "output", r: 6 });
      this.element = svg("svg", { viewBox: "0 0 240 240", role: "img" });
      this.element.append(
        svg("path", { class: "axes", d: "M40,200H215M40,200V25" }),
        ...target(0, 190, 200),
        ...target(1, 40, 50),
        ...this.paths.flat(),
        this.output
      );
      this.panel = html("div", { class: "panel plane", "data-panel": "plane" });
      this.panel.append(html("div", { class: "title" }, "What the paths hold"), this.element);
    }

    at(run, t, colors) {
      const unit = 150 / window.gatedlib.TEACHER;
      const place = (x, y) => [(40 + unit * x).toFixed(1), (200 - unit * y).toFixed(1)];
      let [sumX, sumY] = [0, 0];
      this.paths.forEach(([line, tip], path) => {
        const gate = run.gates[path][t];
        const [wx, wy] = run.weights[path].map((each) => each[t]);
        const [x, y] = place(wx, wy);
        const strength = 0.2 + 0.8 * Math.min(1, Math.abs(gate));
        for (const [key, value] of Object.entries({ x2: x, y2: y, "stroke-opacity": strength })) line.setAttribute(key, value);
        for (const [key, value] of Object.entries({ cx: x, cy: y, "fill-opacity": strength })) tip.setAttribute(key, value);
        line.setAttribute("class", `weights task-${colors[path]}`);
        tip.setAttribute("class", `weights task-${colors[path]}`);
        sumX += gate * wx;
        sumY += gate * wy;
      });
      const [x, y] = place(sumX, sumY);
      this.output.setAttribute("cx", x);
      this.output.setAttribute("cy", y);
    }
  }

  class Explorable {
    constructor(withInvariant) {
      this.settings = { ...FLEXIBLE };
      this.start = SMALL;
      this.time = DURATION;
      this.loss = new Timeline("loss", "Loss", ["ink"], 110);
      this.gates = new Timeline("gates", "Gates", ["task-0", "task-1"], 110);
      this.invariant = withInvariant ? new Timeline("invariant", "Invariant I₁₂ ÷ τ_c", ["ink"], 90) : null;
      this.timelines = [this.loss, this.gates, this.invariant].filter(Boolean);
      this.plane = new Plane();
      this.status = html("p", { class: "status", role: "status" });
      this.element = html("div", { class: "explorable", role: "group", "aria-label": "The reduced model, live" });
      const plots = html("div", { class: "plots" });
      plots.append(html("div", { class: "timelines" }, ...this.timelines.map((each) => each.panel)), this.plane.panel);
      this.element.append(this.presetButtons(), plots, this.transport(), this.status, this.controls(), this.extras());
      this.element.explorable = this;
      this.run();
    }

    presetButtons() {
      this.presets = Object.keys(PRESETS).map((name) => {
        const button = html("button", { type: "button", "data-preset": name }, name);
        button.onclick = () => this.choose({ ...FLEXIBLE, ...PRESETS[name] });
        return button;
      });
      return html("div", { class: "bar", role: "group", "aria-label": "Presets" }, ...this.presets);
    }

    transport() {
      this.player = html("button", { type: "button", class: "play" }, "▶ Play");
      this.player.onclick = () => (this.playing ? this.pause() : this.play());
      const step = html("button", { type: "button", class: "step" }, "Next switch");
      step.onclick = () => this.step();
      this.scrubber = html("input", { type: "range", min: 0, max: DURATION, step: 0.01, "aria-label": "Time" });
      this.scrubber.oninput = () => (this.pause(), this.show(Number(this.scrubber.value)));
      this.clock = html("output", { class: "clock" });
      return html("div", { class: "bar transport" }, this.player, step, this.scrubber, this.clock);
    }

    controls() {
      this.sliders = {};
      const rows = Object.entries(CONTROLS).map(([name, [words, scale, told]]) => {
        const slider = html("input", { type: "range", min: 0, max: scale.last, step: 1, "data-setting": name });
        const value = html("output");
        slider.oninput = () => this.choose({ ...this.settings, [name]: scale.value(Number(slider.value)) });
        this.sliders[name] = () => {
          slider.value = scale.position(this.settings[name]);
          value.textContent = told(this.settings[name]);
          slider.setAttribute("aria-valuetext", value.textContent);
        };
        return html("label", {}, html("span", {}, words, value), slider);
      });
      const start = html("details", {}, html("summary", {}, "Where it starts"), html("div", { class: "controls" }));
      start.lastChild.append(...rows.slice(4), this.anotherStart());
      return html("div", {}, html("div", { class: "controls" }, ...rows.slice(0, 4)), start);
    }

    anotherStart() {
      const another = html("button", { type: "button", class: "another" }, "Another random start");
      another.onclick = () => {
        // what a weight matrix of the size that the paper starts from has in the direction of each teacher
        const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
        this.start = SMALL.map((path) => path.map(() => Number(((0.01 * normal()) / Math.sqrt(20)).toFixed(4))));
        this.run();
      };
      return another;
    }

    extras() {
      const reset = html("button", { type: "button", class: "reset" }, "Reset");
      reset.onclick = () => ((this.start = SMALL), this.choose({ ...FLEXIBLE }));
      const copy = html("button", { type: "button", class: "copy" }, "Copy the code that makes this");
      this.source = html("pre", { class: "source", hidden: "", tabindex: 0, "aria-label": "Python code" });
      copy.onclick = () => {
        this.source.hidden = false;
        navigator.clipboard?.writeText(this.source.textContent).then(() => {
          copy.textContent = "Copied";
          setTimeout(() => (copy.textContent = "Copy the code that makes this"), 1500);
        }, () => {}); // a browser that refuses shows the code all the same
      };
      return html("div", {}, html("div", { class: "bar" }, reset, copy), this.source);
    }

    /* All that the model needs to know. */
    get model() {
      const { tau_c, a, b, block_length, held, gate1, gate2 } = this.settings;
      const weights = this.start.map((path, p) =>
        path.map((small, m) => Number((small + (p === m ? held * window.gatedlib.TEACHER : 0)).toFixed(6)))
      );
      return { tau_w: TAU_W, tau_c, a, b, block_length, duration: DURATION, dt: DT, weights, gates: [gate1, gate2] };
    }

    choose(settings) {
      this.settings = settings;
      this.run();
    }

    run() {
      const model = this.model;
      const result = (this.result = window.gatedlib.learn(model));
      const { cosine, swapped } = window.gatedlib.alignment(result);
      const times = window.gatedlib.recoveries(result);
      const found = (time) => (time < model.block_length ? `after ${time.toFixed(2)}` : "not before the block ends");
      const words =
        (cosine > 0.95 ? "Flexible: each path holds one task" : "Not flexible: the paths stay mixed") +
        ` (alignment ${cosine.toFixed(2)}). Loss below 0.1: at the first switch ${found(times[1])},` +
        ` at the last ${found(times[times.length - 1])}.`;
      this.colors = swapped ? [1, 0] : [0, 1];
      const gates = this.colors.map((path) => result.gates[path]);
      const most = Math.max(1.3, ...[0, 1].map((path) => Math.ceil(10 * highest(result.gates[path])) / 10));
      this.loss.draw(result, [result.loss], [0, 0.6], `Loss over time. ${words}`);
      this.gates.draw(result, gates, [-0.3, most], "The two gates over time; the task that is on is shaded behind.");
      if (this.invariant) {
        const values = window.gatedlib.invariant(result, model);
        const range = [Math.min(-1, Math.floor(-highest(values.map((v) => -v)))), Math.max(1, Math.ceil(highest(values)))];
        const closed = result.loss.findIndex((_, t) => Math.min(result.gates[0][t], result.gates[1][t]) <= 0);
        const when = closed < 0 ? "No gate reaches zero." : `A gate first reaches zero at time ${(closed * DT).toFixed(2)}.`;
        this.invariant.draw(result, [values], range, `The invariant over time. ${when}`);
        this.status.dataset.closed = closed;
        this.tell(`${words} ${when}`);
      } else this.tell(words);
      Object.values(this.sliders).forEach((follow) => follow());
      for (const button of this.presets) {
        const preset = { ...FLEXIBLE, ...PRESETS[button.dataset.preset] };
        const same = Object.keys(preset).every((name) => preset[name] === this.settings[name]);
        button.setAttribute("aria-pressed", same);
      }
      this.source.textContent = window.gatedlib.code(model);
      this.show(this.time);
    }

    /* A slider that is being dragged should not make a screen reader talk all the time. */
    tell(words) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => (this.status.textContent = words), this.status.textContent ? 250 : 0);
    }

    show(time) {
      this.time = time;
      const t = Math.min(this.result.steps - 1, Math.floor(time / DT));
      for (const timeline of this.timelines) timeline.at(time / DURATION);
      this.plane.at(this.result, t, this.colors);
      this.plane.element.setAttribute(
        "aria-label",
        `The plane of the two tasks at time ${time.toFixed(2)}: the weights of both paths, strong where the gate is open,` +
          ` and a dot for what the network computes. Task ${"AB"[this.result.task[t]]} is on.`
      );
      this.scrubber.value = time;
      this.clock.textContent = `time ${time.toFixed(2)}, task ${"AB"[this.result.task[t]]}`;
      this.scrubber.setAttribute("aria-valuetext", this.clock.textContent);
    }

    step() {
      this.pause();
      const block = this.settings.block_length;
      const next = block * (Math.floor(this.time / block + 1e-6) + 1);
      this.show(this.time >= DURATION ? 0 : Math.min(next, DURATION));
    }

    play() {
      if (this.time >= DURATION) this.show(0);
      this.player.textContent = "❚❚ Pause";
      this.playing = true;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.playInJumps();
      else this.playing = requestAnimationFrame((now) => this.frame(now, now));
    }

    frame(now, before) {
      this.show(Math.min(DURATION, this.time + (now - before) / 1000));
      if (this.time >= DURATION) this.pause();
      else this.playing = requestAnimationFrame((next) => this.frame(next, now));
    }

    /* For those who asked for less motion: a still picture a second. */
    playInJumps() {
      this.jumping = setInterval(() => {
        this.show(Math.min(DURATION, this.time + 1));
        if (this.time >= DURATION) this.pause();
      }, 1000);
    }

    pause() {
      cancelAnimationFrame(this.playing);
      clearInterval(this.jumping);
      this.playing = false;
      this.player.textContent = "▶ Play";
    }
  }

  const highest = (values) => values.reduce((most, value) => Math.max(most, value), -Infinity);

  document.addEventListener("DOMContentLoaded", () => {
    for (const figure of document.querySelectorAll("figure[id^=fig-play]")) {
      const picture = figure.querySelector("img");
      const still = picture.closest("a") ?? picture;
      still.replaceWith(new Explorable(figure.id.includes("invariant")).element);
    }
  });
})();
