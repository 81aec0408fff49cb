// Suggestions for a filter as it is written: a combobox (WAI-ARIA), fed by /api/suggest.
import { call } from "./app.js";

const WAIT_MS = 120; // of silence before the server is asked

export class Suggestions {
  constructor(input, list) {
    this.input = input;
    this.list = list;
    this.chosen = -1;
    this.asked = 0;
    for (const [name, value] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list" })) input.setAttribute(name, value);
    input.addEventListener("input", () => this.later());
    input.addEventListener("click", () => this.later());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
    list.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the box keeps the focus
      const item = event.target.closest("li");
      if (item) this.take([...list.children].indexOf(item));
    });
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT_MS);
  }

  async ask() {
    const number = ++this.asked, text = this.input.value, position = this.input.selectionEnd ?? text.length;
    try {
      const answer = await call("GET", `/api/suggest?${new URLSearchParams({ where: text, position })}`);
      if (number === this.asked && document.activeElement === this.input) this.show(answer);
    } catch {
      this.close(); // suggestions are a help: without them the filter is written all the same
    }
  }

  show(answer) {
    this.answer = answer;
    this.chosen = -1;
    const written = this.input.value.slice(answer.start, answer.end);
    const items = answer.suggestions.filter((one) => one.text !== written);
    this.items = items;
    this.list.replaceChildren(...items.map(({ text, detail }, index) => {
      const item = document.createElement("li"), note = document.createElement("span");
      item.id = `suggestion-${index}`;
      item.role = "option";
      item.ariaSelected = "false";
      item.textContent = text;
      note.textContent = detail;
      item.append(note);
      return item;
    }));
    this.list.hidden = !items.length;
    this.input.setAttribute("aria-expanded", String(items.length > 0));
    this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  choose(index) {
    const items = [...this.list.children];
    this.chosen = (index + items.length + 1) % (items.length + 1);
    if (this.chosen === items.length) this.chosen = -1;
    items.forEach((item, at) => { item.ariaSelected = String(at === this.chosen); });
    const item = items[this.chosen];
    item?.scrollIntoView({ block: "nearest" });
    if (item) this.input.setAttribute("aria-activedescendant", item.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (event.key === "ArrowDown" && this.list.hidden) { this.ask(); return; }
    if (this.list.hidden) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) { event.preventDefault(); this.choose(this.chosen < 0 && steps[event.key] < 0 ? this.list.children.length - 1 : this.chosen + steps[event.key]); }
    else if ((event.key === "Enter" && this.chosen >= 0) || (event.key === "Tab" && this.chosen >= 0)) { event.preventDefault(); this.take(this.chosen); }
    else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); this.close(); }
  }

  take(index) {
    const { text } = this.items[index], { start, end } = this.answer, value = this.input.value;
    const ends = text.endsWith(":") ? "" : value[end] === " " ? "" : " ";
    this.input.value = value.slice(0, start) + text + ends + value.slice(end);
    const at = start + text.length + ends.length;
    this.input.setSelectionRange(at, at);
    this.close();
    if (text.endsWith(":")) this.ask();
  }
}
