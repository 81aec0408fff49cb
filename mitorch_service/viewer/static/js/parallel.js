// Parallel coordinates: a line for each trial on a canvas, an axis for each parameter and objective. Dragging along an
// axis chooses a part of it; fields below do the same by keyboard. A trial without a parameter has a gap there.
//
//   const plot = new Parallel(element, axes, ranks, (mask) => …)
//
// `axes`: { name, low, high, log, options, values }; `ranks`: 0 (worst) to 1 (best) of each trial, null without a value.
// The mask has 1 for each trial that lies within all chosen parts; null when none is chosen.
import { numberText } from "./numbers.js";

const HEIGHT = 300;
const TOP = 46;
const BOTTOM = 26;
const SIDE = 70;
const LEAST = 118; // pixels between two axes
const BUCKETS = 12;
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

function place(axis, value) {
  if (axis.options.length) return (value + 0.5) / axis.options.length;
  if (axis.low === axis.high) return 0.5;
  const within = Math.min(Math.max(value, axis.low), axis.high);
  if (axis.log) return Math.log(within / axis.low) / Math.log(axis.high / axis.low);
  return (within - axis.low) / (axis.high - axis.low);
}

function valueAt(axis, at) {
  if (axis.log) return axis.low * (axis.high / axis.low) ** at;
  return axis.low + at * (axis.high - axis.low);
}

function ticks(axis) {
  if (axis.options.length) {
    const step = Math.ceil(axis.options.length / 9);
    return axis.options.map((option, index) => [place(axis, index), option]).filter((_, index) => index % step === 0);
  }
  if (axis.low === axis.high) return [[0.5, numberText(axis.low)]];
  const values = [0, 0.25, 0.5, 0.75, 1].map((at) => valueAt(axis, at)).map((value) => (axis.integer ? Math.round(value) : Number(value.toPrecision(3))));
  return [...new Set(values)].map((value) => [place(axis, value), numberText(value)]);
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const tail = (text, most) => (text.length > most ? `…${text.slice(1 - most)}` : text);

export class Parallel {
  constructor(host, axes, ranks, onChange) {
    this.axes = axes;
    this.ranks = ranks;
    this.onChange = onChange;
    this.count = ranks.length;
    this.places = axes.map((axis) => Float32Array.from(axis.values, (value) => (value === null ? NaN : place(axis, value))));
    this.brushes = axes.map(() => null); // [low, high], places
    this.mask = null;
    this.note = host.appendChild(document.createElement("div"));
    this.note.className = "parallel-note";
    this.frame = host.appendChild(document.createElement("div"));
    this.frame.className = "parallel";
    this.canvas = this.frame.appendChild(document.createElement("canvas"));
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Parallel coordinates of ${this.count} trials over ${axes.map((axis) => axis.name).join(", ")}`);
    this.svg = this.frame.appendChild(element("svg", { "aria-hidden": "true" }));
    host.appendChild(this.fields());
    this.say();
    new ResizeObserver(() => this.resize()).observe(this.frame);
    document.addEventListener("theme", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  resize() {
    const width = Math.max(this.frame.clientWidth, 2 * SIDE + LEAST * (this.axes.length - 1));
    if (width === this.width) return;
    this.width = width;
    if (width > this.frame.clientWidth) this.frame.tabIndex = 0; // by keyboard it scrolls too
    else this.frame.removeAttribute("tabindex");
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = width * ratio;
    this.canvas.height = HEIGHT * ratio;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${HEIGHT}px`;
    this.ratio = ratio;
    this.drawAxes();
    this.draw();
  }

  x(index) {
    return this.axes.length === 1 ? this.width / 2 : SIDE + ((this.width - 2 * SIDE) * index) / (this.axes.length - 1);
  }

  y(at) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - at);
  }

  drawAxes() {
    this.svg.setAttribute("width", this.width);
    this.svg.setAttribute("height", HEIGHT);
    this.svg.replaceChildren();
    this.axes.forEach((axis, index) => {
      const x = this.x(index);
      const name = element("text", { class: "name", x, y: index % 2 ? 30 : 14, "text-anchor": "middle" }, tail(axis.name, 26));
      name.append(element("title", {}, axis.name));
      this.svg.append(name, element("line", { class: "axis", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
      const last = index === this.axes.length - 1;
      for (const [at, label] of ticks(axis)) {
        this.svg.append(element("text", { x: last ? x + 7 : x - 7, y: this.y(at) + 4, "text-anchor": last ? "start" : "end" }, cut(label, 10)));
      }
      const brush = this.brushes[index];
      if (brush) this.svg.append(element("rect", { class: "brush", x: x - 9, width: 18, y: this.y(brush[1]), height: Math.max(2, this.y(brush[0]) - this.y(brush[1])), rx: 3 }));
      const grip = element("rect", { class: "grip", x: x - 16, width: 32, y: TOP - 8, height: HEIGHT - TOP - BOTTOM + 16 });
      grip.addEventListener("pointerdown", (event) => this.drag(event, index));
      this.svg.append(grip);
    });
  }

  drag(event, index) {
    event.preventDefault();
    const at = (one) => {
      const box = this.svg.getBoundingClientRect();
      return Math.min(1, Math.max(0, 1 - (one.clientY - box.top - TOP) / (HEIGHT - TOP - BOTTOM)));
    };
    const start = at(event);
    const move = (one) => {
      const now = at(one);
      this.brushes[index] = Math.abs(now - start) < 0.01 ? null : [Math.min(start, now), Math.max(start, now)];
      this.drawAxes();
      this.later();
    };
    const up = (one) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      move(one);
      this.showFields();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.filter();
    });
  }

  filter() {
    const chosen = this.brushes.map((brush, index) => [brush, this.places[index]]).filter(([brush]) => brush);
    this.mask = chosen.length ? new Uint8Array(this.count) : null;
    if (this.mask) {
      for (let i = 0; i < this.count; i += 1) {
        this.mask[i] = chosen.every(([[low, high], places]) => places[i] >= low - 1e-6 && places[i] <= high + 1e-6) ? 1 : 0;
      }
    }
    this.draw();
    this.say();
    this.onChange(this.mask);
  }

  say() {
    const chosen = this.mask ? this.mask.reduce((a, b) => a + b, 0) : this.count;
    this.note.textContent = this.mask ? `${chosen} of ${this.count} trials chosen.` : "Drag along an axis to choose trials; the table shows those.";
    if (!this.mask) return;
    const clear = document.createElement("button");
    clear.type = "button";
    clear.textContent = "Show all";
    clear.addEventListener("click", () => {
      this.brushes.fill(null);
      this.drawAxes();
      this.filter();
      this.showFields();
    });
    this.note.append(clear);
  }

  // The lines, from the worst to the best, so that the best are on top; those that are not chosen are faint.
  draw() {
    if (!this.width) return;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, HEIGHT);
    const colour = (name) => {
      this.probe ??= this.frame.appendChild(document.createElement("i"));
      this.probe.style.color = `var(${name})`;
      return getComputedStyle(this.probe).color;
    };
    const accent = colour("--accent");
    const quiet = colour("--ink-3");
    const dense = Math.min(0.9, 12 / Math.sqrt(this.count + 1)); // so that many lines do not become one surface
    const groups = Array.from({ length: BUCKETS + 2 }, () => []);
    for (let i = 0; i < this.count; i += 1) {
      if (this.mask && !this.mask[i]) groups[0].push(i);
      else if (this.ranks[i] === null) groups[1].push(i);
      else groups[2 + Math.min(BUCKETS - 1, Math.floor(this.ranks[i] * BUCKETS))].push(i);
    }
    groups.forEach((members, group) => {
      const best = group === BUCKETS + 1;
      pen.strokeStyle = group < 4 ? quiet : accent;
      pen.globalAlpha = group === 0 ? dense * 0.12 : group === 1 ? dense * 0.25 : best ? Math.min(1, dense * 2.5) : dense * (0.25 + (0.6 * (group - 2)) / BUCKETS);
      pen.lineWidth = best ? 1.6 : 1;
      pen.beginPath();
      for (const i of members) this.trace(pen, i);
      pen.stroke();
    });
    pen.globalAlpha = 1;
  }

  trace(pen, i) {
    let open = false;
    let lone = null;
    for (let axis = 0; axis < this.axes.length; axis += 1) {
      const at = this.places[axis][i];
      if (Number.isNaN(at)) {
        if (lone !== null) this.dot(pen, lone);
        open = false;
        lone = null;
        continue;
      }
      const point = [this.x(axis), this.y(at)];
      if (open) {
        pen.lineTo(...point);
        lone = null;
      } else {
        pen.moveTo(...point);
        lone = point;
      }
      open = true;
    }
    if (lone !== null) this.dot(pen, lone);
  }

  // A value between two gaps has no line: a short stroke.
  dot(pen, [x, y]) {
    pen.moveTo(x - 3, y);
    pen.lineTo(x + 3, y);
  }

  fields() {
    const details = document.createElement("details");
    const summary = details.appendChild(document.createElement("summary"));
    summary.textContent = "Choose by values";
    const form = details.appendChild(document.createElement("form"));
    form.className = "brushes";
    form.addEventListener("submit", (event) => event.preventDefault());
    this.inputs = this.axes.map((axis, index) => {
      const set = form.appendChild(document.createElement("fieldset"));
      set.appendChild(document.createElement("legend")).textContent = axis.name;
      return axis.options.length ? this.choice(set, axis, index) : this.limits(set, axis, index);
    });
    return details;
  }

  choice(set, axis, index) {
    const select = set.appendChild(document.createElement("select"));
    select.setAttribute("aria-label", axis.name);
    select.append(new Option("any", ""), ...axis.options.map((option, at) => new Option(option, at)));
    select.addEventListener("change", () => {
      const at = select.value === "" ? null : place(axis, Number(select.value));
      const half = 0.49 / axis.options.length;
      this.brushes[index] = at === null ? null : [at - half, at + half];
      this.drawAxes();
      this.filter();
    });
    return [select];
  }

  limits(set, axis, index) {
    const inputs = ["least", "most"].map((name) => {
      const input = set.appendChild(document.createElement("input"));
      input.type = "number";
      input.step = "any";
      input.placeholder = name;
      input.setAttribute("aria-label", `${axis.name}, ${name}`);
      return input;
    });
    const change = () => {
      const [low, high] = inputs.map((input) => (input.value === "" ? null : Number(input.value)));
      const none = low === null && high === null;
      const at = (value, otherwise) => (value === null || (axis.log && value <= 0) ? otherwise : place(axis, value));
      this.brushes[index] = none ? null : [at(low, -1), at(high, 2)];
      if (low !== null && low > axis.high) this.brushes[index] = [2, 3];
      if (high !== null && high < axis.low) this.brushes[index] = [-2, -1];
      this.drawAxes();
      this.filter();
    };
    for (const input of inputs) input.addEventListener("change", change);
    return inputs;
  }

  // What was dragged is shown in the fields too.
  showFields() {
    this.axes.forEach((axis, index) => {
      const brush = this.brushes[index];
      const inputs = this.inputs[index];
      if (axis.options.length) {
        const within = brush ? axis.options.map((_, at) => at).filter((at) => place(axis, at) >= brush[0] && place(axis, at) <= brush[1]) : [];
        inputs[0].value = within.length === 1 ? String(within[0]) : "";
      } else {
        inputs.forEach((input, end) => {
          input.value = brush ? Number(valueAt(axis, brush[end]).toPrecision(4)) : "";
        });
      }
    });
  }
}
