// Checks the config while it is typed, shows problems beside their lines, and queues it.

import { call, toast } from "./app.js";

const PAUSE = 350; // ms without a key before the config is checked
const LONGEST = 1_000_000;
const $ = (id) => document.getElementById(id);
const [form, text, gutter, verdict, problems, explanation, result, queue] = [
  "submit", "text", "gutter", "verdict", "problems", "explanation", "result", "queue",
].map($);
let fileFormat = null;
let timer = 0;
let asked = 0;
let lines = 0;

const format = () => fileFormat ?? (/^\s*[{[]/.test(text.value) || !text.value.trim() ? "json" : "yaml");

function body() {
  const fields = new FormData(form);
  const tags = String(fields.get("tags")).split(/[\s,]+/).filter(Boolean);
  return {
    text: text.value,
    format: format(),
    dataset: fields.get("dataset") || null,
    name: fields.get("name") || null,
    tags,
    priority: Number(fields.get("priority") || 100),
  };
}

function number(wrong = new Set()) {
  const count = text.value.split("\n").length;
  if (count !== lines) {
    gutter.replaceChildren(...Array.from({ length: count }, (_, index) => {
      const item = document.createElement("li");
      item.textContent = index + 1;
      return item;
    }));
    lines = count;
  }
  for (const [index, item] of [...gutter.children].entries()) item.classList.toggle("is-wrong", wrong.has(index + 1));
  gutter.scrollTop = text.scrollTop;
}

function show(words, state) {
  verdict.textContent = words;
  result.classList.toggle("is-wrong", state === "wrong");
  result.classList.toggle("is-right", state === "right");
  queue.disabled = state !== "right";
}

function goTo(line, column) {
  const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  text.focus();
  text.setSelectionRange(before + column - 1, before + column - 1);
  text.scrollTop = Math.max(0, (line - 5) * 20);
}

function problemItem(one) {
  const [item, button, where, what] = ["li", "button", "span", "span"].map((name) => document.createElement(name));
  button.type = "button";
  where.className = "where";
  const named = one.path.startsWith("line ") ? one.path : [one.line && `line ${one.line}`, one.path].filter(Boolean).join(" · ");
  where.textContent = named || "config";
  what.textContent = one.message;
  button.append(where, what);
  if (one.line) button.addEventListener("click", () => goTo(one.line, one.column ?? 1));
  item.append(button);
  return item;
}

function showAnswer(answer) {
  number(new Set(answer.problems.map((one) => one.line)));
  problems.replaceChildren(...answer.problems.map(problemItem));
  problems.hidden = answer.valid;
  explanation.replaceChildren(...answer.explanation.slice(0, 30).map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
  explanation.hidden = !answer.valid;
  const count = answer.problems.length + answer.more;
  if (answer.valid) show(answer.kind === "job" ? "A search, ready to queue" : "A training, ready to queue", "right");
  else show(`${count} problem${count === 1 ? "" : "s"}`, "wrong");
}

async function check() {
  const turn = ++asked;
  if (!text.value.trim()) {
    showAnswer({ valid: true, kind: null, problems: [], more: 0, explanation: [] });
    show("Nothing written yet", null);
    return;
  }
  try {
    const answer = await call("POST", "/api/validate", body());
    if (turn === asked) showAnswer(answer);
  } catch (error) {
    if (turn === asked) show(error.message, "wrong");
  }
}

function changed() {
  number();
  asked += 1; // what is under way is about another text
  queue.disabled = true;
  $("format").textContent = format().toUpperCase();
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE);
}

async function open(file) {
  if (file.size > LONGEST) return toast(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB; a config has at most 1 MB.`, true);
  text.value = await file.text();
  fileFormat = /\.ya?ml$/i.test(file.name) ? "yaml" : null;
  changed();
}

text.addEventListener("input", () => { if (!text.value) fileFormat = null; changed(); });
text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
for (const field of form.elements) if (field.name) field.addEventListener("input", changed);
$("example").addEventListener("click", () => { text.value = $("example-text").content.textContent; fileFormat = null; changed(); text.focus(); });
$("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); event.target.value = ""; });
const target = text.parentElement;
for (const name of ["dragover", "drop", "dragleave"]) {
  target.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    target.classList.toggle("is-target", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  queue.disabled = true;
  try {
    const answer = await call("POST", "/api/submissions", body());
    location.href = `/${answer.kind}s/${answer.id}`;
  } catch (error) {
    toast(error.message, true);
    check();
  }
});
number();
if (text.value) changed(); // what the browser has kept
