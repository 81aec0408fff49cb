// Selects rows of a table: by checkbox, with Shift for a range, by keys, and all that match a filter.

export class Selection extends EventTarget {
  constructor(table) {
    super();
    this.table = table;
    this.rows = [...table.tBodies[0].rows];
    this.ids = new Set();
    this.everything = false; // all that match, on all pages
    this.anchor = 0;
    this.rows.forEach((row, index) => { row.tabIndex = index ? -1 : 0; });
    table.addEventListener("click", (event) => this.click(event));
    table.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => {
      const isAll = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a";
      if (isAll && document.activeElement === document.body && this.rows.length) { event.preventDefault(); this.all(); this.focus(0); }
    });
  }

  get count() { return this.ids.size; }

  click(event) {
    if (event.target.matches("[data-select-page]")) { this.setAll(event.target.checked); return; }
    const row = event.target.closest("tbody tr");
    const onBox = event.target.matches("input[type=checkbox]");
    if (!row || (!onBox && (!event.shiftKey && !event.ctrlKey && !event.metaKey)) || (event.target.closest("a") && !event.shiftKey)) return;
    if (!onBox) event.preventDefault();
    const index = this.rows.indexOf(row), on = onBox ? event.target.checked : event.shiftKey || !this.ids.has(row.dataset.id);
    if (event.shiftKey) this.range(this.anchor, index, on);
    else this.set(index, on);
    getSelection().removeAllRanges();
    this.anchor = index;
    this.focus(index);
    this.changed();
  }

  key(event) {
    const row = event.target.closest("tbody tr");
    if (!row || event.target.closest("a")) return;
    const index = this.rows.indexOf(row);
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      this.all();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -index, End: this.rows.length - 1 - index }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const to = Math.max(0, Math.min(this.rows.length - 1, index + step));
      if (event.shiftKey) { this.set(index, true); this.range(index, to, true); this.changed(); }
      this.anchor = to;
      this.focus(to);
    } else if (event.key === " " && !event.target.matches("input")) {
      event.preventDefault();
      this.set(index, !this.ids.has(row.dataset.id));
      this.anchor = index;
      this.changed();
    } else if (event.key === "Enter" && event.target === row) {
      row.querySelector("a").click();
    } else if (event.key === "Escape") {
      this.setAll(false);
    }
  }

  focus(index) {
    for (const row of this.rows) row.tabIndex = -1;
    this.rows[index].tabIndex = 0;
    this.rows[index].focus();
  }

  set(index, on) {
    const row = this.rows[index];
    row.setAttribute("aria-selected", String(on));
    row.querySelector("input").checked = on;
    if (on) this.ids.add(row.dataset.id);
    else this.ids.delete(row.dataset.id);
  }

  range(from, to, on) {
    for (let index = Math.min(from, to); index <= Math.max(from, to); index += 1) this.set(index, on);
  }

  /** The first time all of this page; the second time all that match. */
  all() {
    if (this.ids.size === this.rows.length) this.dispatchEvent(new Event("everything"));
    else this.setAll(true);
  }

  setAll(on) {
    this.range(0, this.rows.length - 1, on);
    this.changed();
  }

  changed() {
    this.everything = false;
    this.dispatchEvent(new Event("change"));
  }
}
