// The table of a search's trials: sorted by any column and filtered here, as all trials are in the page already.
import { numberText } from "./numbers.js";

const ROWS = 100;

function cell(row, text, kind = "") {
  const made = row.insertCell();
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

export class TrialTable {
  /** `data`: as /api/jobs/ID/trials answers. */
  constructor(table, pages, count, job) {
    this.table = table;
    this.pages = pages;
    this.count = count;
    this.job = job;
    const sorted = table.querySelector("th[aria-sort]");
    this.sort = sorted ? sorted.dataset.key : "value";
    this.turned = sorted?.getAttribute("aria-sort") === "descending";
    this.first = 0;
    for (const head of table.tHead.querySelectorAll("th[data-key]")) {
      head.querySelector("a").addEventListener("click", (event) => this.sortBy(event, head));
    }
  }

  show(data, mask) {
    if (data !== this.data) {
      this.data = data;
      this.columns = Object.fromEntries(data.columns.map((column) => [column.name, column]));
      this.front = new Set(data.front);
    } else {
      this.first = 0;
    }
    this.mask = mask;
    this.order = this.sorted();
    this.draw();
  }

  sortBy(event, head) {
    if (!this.data || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const key = head.dataset.key;
    this.turned = this.sort === key && !this.turned;
    this.sort = key;
    this.first = 0;
    for (const other of this.table.tHead.querySelectorAll("th[data-key]")) {
      if (other === head) other.setAttribute("aria-sort", this.turned ? "descending" : "ascending");
      else other.removeAttribute("aria-sort");
    }
    this.order = this.sorted();
    this.draw();
  }

  // As insights/trial_table.py sorts: the best first, trials without a value last either way.
  sorted() {
    const { data } = this;
    const way = data.directions[0] === "minimize" ? 1 : -1;
    const key = {
      value: (i) => (data.values[0][i] !== null ? [0, way * data.values[0][i]] : data.reached[i] !== null ? [1, way * data.reached[i]] : [2, 0]),
      number: (i) => [0, data.numbers[i]],
      status: (i) => [0, data.status[i]],
      epochs: (i) => [0, data.epochs[i]],
    }[this.sort] ?? ((i) => {
      const value = this.columns[this.sort]?.values[i] ?? null;
      return value === null ? [1, 0] : [0, value];
    });
    const keys = data.numbers.map((_, i) => key(i));
    const sign = this.turned ? -1 : 1;
    const chosen = data.numbers.map((_, i) => i).filter((i) => !this.mask || this.mask[i]);
    return chosen.sort((a, b) => keys[a][0] - keys[b][0] || sign * (keys[a][1] - keys[b][1]) || data.numbers[a] - data.numbers[b]);
  }

  draw() {
    const { data } = this;
    const body = document.createElement("tbody");
    const best = this.bestOf();
    for (const i of this.order.slice(this.first, this.first + ROWS)) body.append(this.row(i, best));
    this.table.tBodies[0].replaceWith(body);
    const all = data.numbers.length;
    const shown = this.order.length;
    const last = Math.min(this.first + ROWS, shown);
    this.count.textContent = `${shown ? this.first + 1 : 0}–${last} of ${shown}${shown < all ? ` chosen from ${all}` : ""}`;
    this.drawPages(shown);
  }

  bestOf() {
    const values = this.data.values[0];
    if (this.data.values.length > 1) return -1;
    const way = this.data.directions[0] === "minimize" ? 1 : -1;
    return values.reduce((best, value, i) => (value !== null && (best < 0 || way * value < way * values[best]) ? i : best), -1);
  }

  row(i, best) {
    const { data } = this;
    const row = document.createElement("tr");
    const number = data.numbers[i];
    if (this.front.has(number)) row.className = "is-front";
    const head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    head.className = "number";
    const link = head.appendChild(document.createElement("a"));
    link.href = `/jobs/${this.job}/trials/${number}`;
    link.textContent = number;
    const status = data.statuses[data.status[i]];
    const pill = cell(row, "").appendChild(document.createElement("span"));
    pill.className = `pill is-${status}`;
    pill.textContent = status;
    data.values.forEach((values, objective) => {
      const value = values[i];
      const made = cell(row, value === null ? "" : numberText(value), `number${i === best && objective === 0 ? " best" : ""}`);
      if (value === null && objective === 0 && data.reached[i] !== null) {
        const reached = made.appendChild(document.createElement("span"));
        reached.className = "quiet-text";
        reached.title = "Reached so far";
        reached.textContent = numberText(data.reached[i]);
      }
    });
    cell(row, data.epochs[i], "number");
    for (const column of data.columns) {
      const value = column.values[i];
      const text = value === null ? "–" : column.options.length ? column.options[value] : numberText(value);
      cell(row, text, column.options.length ? "" : "number");
    }
    const reason = data.reasons[number] ?? "";
    cell(row, reason, "name").title = reason;
    return row;
  }

  drawPages(shown) {
    const button = (text, first, on) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      made.disabled = !on;
      made.addEventListener("click", () => {
        this.first = first;
        this.draw();
        this.table.scrollIntoView({ block: "start" });
      });
      return made;
    };
    if (shown <= ROWS) this.pages.replaceChildren();
    else this.pages.replaceChildren(button("Previous", Math.max(0, this.first - ROWS), this.first > 0), button("Next", this.first + ROWS, this.first + ROWS < shown));
  }
}
