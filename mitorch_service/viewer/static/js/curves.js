// Charts of curves on uPlot: overlays, smoothing with the raw line behind it, log axes, cursors in step, live data.
//
//   const panel = new CurvePanel(element, { ids, lines, follow: true, groups })
//
// `lines(measure)` -> { chart, dash } says in which chart a measure is drawn (charts come in the order of their first
// measure); by default each in its own. `groups`: id -> name of a group of repeats (seeds), for mean and band.
// The element's `data-axis`, `data-scale`, `data-smooth` keep what was chosen.
/* global uPlot */
import { LiveStream } from "./stream.js";

const HEIGHT = 220, LARGE = 480;
const MOST_POINTS = 6000; // of all curves together, so that joining them stays quick
const TOOLTIP_ROWS = 8;
const AXES = { epoch: "epoch", time: "hours of run time", cost: "cost" };

let panels = 0;
const heightOf = (chart) => (chart.figure.classList.contains("is-large") ? LARGE : HEIGHT);

/** A number as people read it: four digits. */
export function numberText(value) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** The exponential moving average without the bias of its start (Kingma and Ba, Adam, 2014, section 3). */
export function smooth(values, weight) {
  let sum = 0;
  let count = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return value;
    sum = sum * weight + (1 - weight) * value;
    count += 1;
    return sum / (1 - weight ** count);
  });
}

/** Mean and interval over repeats at each place: 95 % of the mean (Student's t), or from lowest to highest below 3. */
export function meanAndBand(columns) {
  const T = [0, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
  return columns.map((column) => {
    const known = column.filter((value) => value !== null && value !== undefined);
    const n = known.length;
    if (!n) return { mean: null, low: null, high: null, n };
    const mean = known.reduce((a, b) => a + b, 0) / n;
    if (n < 3) return { mean, low: Math.min(...known), high: Math.max(...known), n };
    const deviation = Math.sqrt(known.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1));
    const half = ((T[n - 1] ?? 1.96) * deviation) / Math.sqrt(n);
    return { mean, low: mean - half, high: mean + half, n };
  });
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** light-dark() is resolved by an element only. */
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = name.startsWith("--") ? `var(${name})` : name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function faded(rgb, alpha) {
  return rgb.replace(/^rgb\(/, "rgba(").replace(/\)$/, `, ${alpha})`);
}

export class CurvePanel {
  constructor(element, { ids, lines, measures = [], follow = false, groups = null, onEvent = null }) {
    this.element = element;
    this.ids = ids;
    this.place = lines ?? ((measure) => ({ chart: measure, dash: false }));
    this.measures = measures;
    this.follow = follow;
    this.groups = groups;
    this.onEvent = onEvent;
    this.grouped = false;
    this.curves = new Map();
    this.charts = new Map();
    this.hidden = new Set();
    this.axis = element.dataset.axis || "epoch";
    this.scale = element.dataset.scale || "linear";
    this.weight = Number(element.dataset.smooth || 0);
    this.sync = `curves-${(panels += 1)}`;
    this.stream = null;
    this.complete = true; // whether the curves of all ids are there: the legend of some is shorter, and would move the page
    this.#build();
    document.addEventListener("theme", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.#resize()).observe(element);
    this.load();
  }

  #build() {
    const bar = document.createElement("div");
    bar.className = "chart-bar";
    bar.hidden = !this.element.querySelector(".is-place");
    this.bar = bar;
    bar.append(
      this.#choice("Over", AXES, this.axis, (value) => { this.axis = value; this.load(); }, { epoch: "epoch", time: "time", cost: "cost" }),
      this.#choice("Scale", { linear: "linear", log: "log" }, this.scale, (value) => { this.scale = value; this.draw(); }),
      this.#slider(),
    );
    if (this.groups) bar.append(this.#groupSwitch());
    const reset = document.createElement("button");
    reset.type = "button";
    reset.className = "quiet";
    reset.textContent = "Reset zoom";
    reset.addEventListener("click", () => this.draw());
    bar.append(reset);
    // The server has put the names and a figure for each chart into the element: they keep the room until the curves come.
    this.legend = this.element.querySelector(".chart-legend") ?? document.createElement("ul");
    this.legend.className = "chart-legend";
    this.grid = this.element.querySelector(".chart-grid") ?? document.createElement("div");
    this.grid.className = "chart-grid";
    this.places = [...this.grid.children];
    this.message = document.createElement("p");
    this.message.className = "quiet-text chart-message";
    this.message.setAttribute("role", "status");
    this.element.replaceChildren(bar, this.legend, this.grid, this.message);
  }

  #choice(label, options, chosen, onChange, shown = options) {
    const group = document.createElement("div");
    group.className = "segmented";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", label);
    for (const [value] of Object.entries(options)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = shown[value];
      button.setAttribute("aria-pressed", String(value === chosen));
      button.addEventListener("click", () => {
        for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
        onChange(value);
      });
      group.append(button);
    }
    return group;
  }

  #slider() {
    const label = document.createElement("label");
    label.className = "smooth";
    label.textContent = "Smoothing";
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: "0", max: "0.98", step: "0.02", value: String(this.weight) });
    input.addEventListener("input", () => { this.weight = Number(input.value); this.draw(); });
    label.append(input);
    return label;
  }

  #groupSwitch() {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Mean of repeats";
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      this.grouped = !this.grouped;
      button.setAttribute("aria-pressed", String(this.grouped));
      this.draw();
    });
    return button;
  }

  get #query() {
    const query = new URLSearchParams({ ids: this.ids.join(","), x: this.axis });
    if (this.measures.length) query.set("measures", this.measures.join(","));
    return query;
  }

  /** Reads all curves anew, and then follows what is added to them. Many come in several answers, each drawn at once. */
  async load() {
    this.stream?.close();
    const axis = this.axis;
    const query = this.#query;
    query.set("points", String(Math.max(60, Math.min(800, Math.floor(MOST_POINTS / this.ids.length)))));
    const curves = new Map();
    for (let left = this.ids; left.length; ) {
      query.set("ids", left.join(","));
      try {
        const response = await fetch(`/api/curves?${query}`);
        const answer = await response.json();
        if (!response.ok) throw new Error(answer.error);
        for (const curve of answer.curves) curves.set(curve.training_id, this.#keep(curve));
        left = answer.unread;
      } catch (error) {
        this.message.textContent = `The curves could not be read: ${error.message}`;
        this.complete = true;
        if (curves.size) this.#drawLegend();
        return;
      }
      if (axis !== this.axis) return; // another axis was chosen meanwhile
      this.curves = curves;
      this.complete = !left.length;
      this.draw();
    }
    if (this.follow && [...curves.values()].some((curve) => !curve.has_ended)) this.#listen();
  }

  #keep(curve) {
    return { ...curve, series: new Map(curve.series.map((one) => [one.measure, { x: one.x, y: one.y }])) };
  }

  #listen() {
    const stream = new LiveStream(() => {
      const query = this.#query;
      query.set("after", this.ids.map((id) => this.curves.get(id)?.epochs ?? 0).join(","));
      return `/api/events/curves?${query}`;
    }, {
      curves: (message) => {
        for (const added of JSON.parse(message.data)) this.#add(added);
        this.draw(true);
        this.onEvent?.(this.curves);
      },
      end: () => stream.close(),
    });
    this.stream = stream;
  }

  #add(added) {
    const known = this.curves.get(added.training_id);
    if (!known) return;
    Object.assign(known, { epochs: added.epochs, every: Math.max(known.every, added.every), status: added.status, has_ended: added.has_ended });
    for (const { measure, x, y } of added.series) {
      const series = known.series.get(measure) ?? { x: [], y: [] };
      const from = x.findIndex((place) => !series.x.length || place > series.x.at(-1));
      if (from >= 0) { series.x = series.x.concat(x.slice(from)); series.y = series.y.concat(y.slice(from)); }
      known.series.set(measure, series);
    }
  }

  /** The lines of each chart: title -> [{ id, measure, label, stroke, dash, x, y }]. */
  #lines() {
    const charts = new Map();
    const ids = [...this.curves.keys()];
    const single = ids.length === 1;
    for (const [index, id] of ids.entries()) {
      const curve = this.curves.get(id);
      for (const [measure, series] of curve.series) {
        const { chart, dash } = this.place(measure);
        const lines = charts.get(chart) ?? [];
        const label = single ? measure : curve.label;
        lines.push({ id, measure, label, place: single ? lines.length : index, dash, ...series });
        charts.set(chart, lines);
      }
    }
    return charts;
  }

  /** Draws all charts; `keep`: the zoom stays. */
  draw(keep = false) {
    const charts = this.#lines();
    for (const place of this.places.splice(0)) place.remove();
    const sparse = Math.max(1, ...[...this.curves.values()].map((curve) => curve.every));
    const empty = charts.size ? "" : "No epoch has been reported yet. Curves appear here with the first one.";
    this.bar.hidden = !charts.size;
    this.message.textContent = sparse > 1 ? `Long curves are drawn of about every ${sparse.toLocaleString("en")}th epoch.` : empty;
    for (const [title, chart] of this.charts) {
      if (!charts.has(title)) { chart.figure.remove(); this.charts.delete(title); }
    }
    for (const [title, lines] of charts) this.#drawOne(title, lines, keep);
    this.#resize(); // the first ones were drawn when they had the row for themselves
    if (this.complete) this.#drawLegend();
  }

  #stroke(place) {
    return place < 10 ? colour(`--c${place}`) : colour(`hsl(${(place * 137.5) % 360} 60% 50%)`);
  }

  #drawLegend() {
    if (this.curves.size < 2) { this.legend.replaceChildren(); return; }
    const items = [...this.curves.values()].map((curve, index) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.setAttribute("aria-pressed", String(!this.hidden.has(curve.training_id)));
      const mark = document.createElement("span");
      mark.className = "mark";
      mark.style.background = this.#stroke(index);
      button.append(mark, curve.label);
      button.title = "Click: show or hide. Double click: this one alone.";
      button.addEventListener("click", () => this.#toggle(curve.training_id));
      button.addEventListener("dblclick", () => this.#only(curve.training_id));
      item.append(button);
      return item;
    });
    this.legend.replaceChildren(...items);
  }

  #toggle(id) {
    if (!this.hidden.delete(id)) this.hidden.add(id);
    this.draw(true);
  }

  #only(id) {
    this.hidden = new Set([...this.curves.keys()].filter((other) => other !== id));
    this.draw(true);
  }

  #drawOne(title, lines, keep) {
    let chart = this.charts.get(title);
    if (!chart) {
      const figure = document.createElement("figure");
      figure.className = "chart";
      const caption = document.createElement("figcaption");
      caption.textContent = title;
      if (this.curves.size === 1 && lines.length > 1) caption.append(...lines.map((line) => this.#key(line)));
      caption.append(this.#enlarge(figure, title));
      const holder = document.createElement("div");
      holder.className = "plot";
      const tip = document.createElement("div");
      tip.className = "chart-tip";
      tip.hidden = true;
      figure.append(caption, holder, tip);
      this.grid.append(figure);
      chart = { figure, holder, tip, plot: null };
      this.charts.set(title, chart);
    }
    const shown = lines.filter((line) => !this.hidden.has(line.id));
    const { data, series, bands } = this.grouped ? this.#groupedData(shown) : this.#data(shown);
    const zoom = keep && chart.plot ? { ...chart.plot.scales.x } : null;
    const wasWide = chart.plot && chart.data?.[0]?.length && zoom && zoom.min <= chart.data[0][0] && zoom.max >= chart.data[0].at(-1);
    chart.plot?.destroy();
    chart.data = data;
    chart.plot = new uPlot(this.#options(chart, series, bands, data), data, chart.holder);
    chart.holder.querySelector("canvas")?.setAttribute("aria-hidden", "true");
    chart.figure.setAttribute("aria-label", `${title}: ${shown.map((line) => `${line.label} ${numberText(line.y.at(-1))}`).slice(0, 5).join(", ")}`);
    if (zoom && !wasWide) chart.plot.setScale("x", { min: zoom.min, max: zoom.max });
  }

  /** The mark and the name of a line, beside the title of its chart. */
  #key(line) {
    const key = document.createElement("span");
    key.className = line.dash ? "key is-dashed" : "key";
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.style.background = this.#stroke(line.place);
    key.append(mark, line.label);
    return key;
  }

  /** A button that gives the chart a row of its own, twice as high. */
  #enlarge(figure, title) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet enlarge";
    button.textContent = "⤢";
    button.title = "Larger or smaller";
    button.setAttribute("aria-label", `Enlarge ${title}`);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(figure.classList.toggle("is-large")));
      this.#resize();
    });
    return button;
  }

  #values(y) {
    if (this.scale !== "log") return y;
    return y.map((value) => (value !== null && value <= 0 ? null : value));
  }

  #data(lines) {
    const tables = lines.map((line) => [line.x, this.#values(line.y)]);
    const joined = tables.length ? uPlot.join(tables) : [[]];
    const data = [joined[0]];
    const series = [{ label: AXES[this.axis] }];
    lines.forEach((line, index) => {
      const stroke = this.#stroke(line.place);
      const dash = line.dash ? [5, 4] : undefined;
      const raw = joined[index + 1];
      const points = { show: line.x.length < 2 || (line.x.length < 40 && lines.length < 4), size: 4 };
      if (this.weight) {
        data.push(raw);
        series.push({ label: line.label, stroke: faded(stroke, 0.28), width: 1, dash, spanGaps: true, points: { show: false }, raw: true });
      }
      data.push(this.weight ? smooth(raw, this.weight) : raw);
      series.push({ label: line.label, stroke, width: 1.75, dash, spanGaps: true, points });
    });
    return { data, series, bands: [] };
  }

  /** Mean and band of each group of repeats; curves of no group as they are. */
  #groupedData(lines) {
    const groups = new Map();
    for (const line of lines) {
      const name = this.groups[line.id] ?? line.label;
      groups.set(name, [...(groups.get(name) ?? []), line]);
    }
    const places = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const data = [places];
    const series = [{ label: AXES[this.axis] }];
    const bands = [];
    for (const [name, members] of groups) {
      const at = members.map((line) => new Map(line.x.map((x, index) => [x, this.#values(line.y)[index]])));
      const points = meanAndBand(places.map((x) => at.map((values) => values.get(x) ?? null)));
      const stroke = this.#stroke(members[0].place);
      const side = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: true, raw: true };
      data.push(points.map((one) => one.high), points.map((one) => one.low), points.map((one) => one.mean));
      bands.push({ series: [series.length, series.length + 1], fill: faded(stroke, 0.16) });
      series.push({ ...side, label: name }, { ...side, label: name }, { label: `${name} (n = ${members.length})`, stroke, width: 2, spanGaps: true, points: { show: false } });
    }
    return { data, series, bands };
  }

  #options(chart, series, bands, data) {
    const ink = colour("--ink-3");
    const line = colour("--line");
    const font = `11px ${css("--font")}`;
    const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
    const positive = data.slice(1).some((values) => values.some((value) => value > 0));
    return {
      width: Math.max(200, chart.holder.clientWidth || 400),
      height: heightOf(chart),
      legend: { show: false },
      padding: [8, 8, 0, 0],
      cursor: { sync: { key: this.sync, setSeries: false }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: this.scale === "log" && positive ? { distr: 3 } : {} },
      axes: [
        { ...axis, size: 26, values: (_, values) => values.map(numberText) },
        { ...axis, size: 54, values: (_, values) => values.map((value) => (value === null ? "" : numberText(value))) },
      ],
      series,
      bands,
      hooks: { setCursor: [(plot) => this.#showTip(chart, plot)] },
    };
  }

  #showTip(chart, plot) {
    const { idx, left, top } = plot.cursor;
    if (idx === null || idx === undefined || left < 0) { chart.tip.hidden = true; return; }
    const rows = [];
    for (let index = 1; index < plot.series.length; index += 1) {
      const series = plot.series[index];
      const value = series.raw ? null : plot.data[index][idx];
      if (value !== null && value !== undefined) rows.push({ label: series.label, stroke: series.stroke(plot, index), value, distance: Math.abs(plot.valToPos(value, "y") - top) });
    }
    if (!rows.length) { chart.tip.hidden = true; return; }
    rows.sort((a, b) => a.distance - b.distance);
    const head = document.createElement("b");
    head.textContent = `${AXES[this.axis]} ${numberText(plot.data[0][idx])}`;
    const shown = rows.slice(0, TOOLTIP_ROWS).map((row) => {
      const element = document.createElement("div");
      const mark = document.createElement("span");
      mark.className = "mark";
      mark.style.background = row.stroke;
      const label = document.createElement("span");
      label.textContent = row.label;
      const value = document.createElement("span");
      value.className = "number";
      value.textContent = numberText(row.value);
      element.append(mark, label, value);
      return element;
    });
    chart.tip.replaceChildren(head, ...shown);
    chart.tip.hidden = false;
    const wide = chart.figure.clientWidth;
    const at = left + plot.bbox.left / devicePixelRatio;
    chart.tip.style.left = at > wide / 2 ? "" : `${at + 16}px`;
    chart.tip.style.right = at > wide / 2 ? `${wide - at + 16}px` : "";
    chart.tip.style.top = "36px";
  }

  #resize() {
    for (const chart of this.charts.values()) {
      const width = chart.holder.clientWidth;
      const height = heightOf(chart);
      if (chart.plot && width && (Math.abs(width - chart.plot.width) > 1 || height !== chart.plot.height)) chart.plot.setSize({ width, height });
    }
  }
}
