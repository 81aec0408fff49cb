// The queue as it changes, its order by drag and by keys, and the orders of its rows.
import { call, refreshTimes, toast } from "./app.js";
import { changesFor } from "./queue_order.js";
import { LiveStream } from "./stream.js";

const COMMIT_MS = 500; // of silence after the last key, before the new place is asked for
const waiting = document.querySelector("[data-rows=waiting]");
const said = document.querySelector("[data-said]");
document.body.dataset.scripted = "";
const mayChange = "mayChange" in document.body.dataset;
let moving = null; // the row that is being moved, with the order as it was
let held = null; // what came meanwhile: shown when the move has ended

const place = (row) => ({ id: row.dataset.id, priority: Number(row.dataset.priority), arrival: BigInt(row.dataset.arrival), name: row.dataset.name });
const rowsOf = (body) => [...body.children];

// Live: only what has changed is sent.

function rowFrom(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // rendered and escaped by the server
  return template.content.querySelector("tr");
}

function showRows(key, change) {
  const body = document.querySelector(`[data-rows="${key}"]`);
  const known = new Map(rowsOf(body).map((row) => [row.dataset.id, row]));
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const where = focused && [focused.closest("tr").dataset.id, focused.dataset.rowAction ?? focused.className];
  for (const [id, html] of Object.entries(change.rows ?? {})) {
    const row = rowFrom(html), old = known.get(id);
    if (old) old.replaceWith(row);
    else row.classList.add("is-new");
    known.set(id, row);
  }
  if (change.order) body.replaceChildren(...change.order.map((id) => known.get(id)).filter(Boolean));
  if (where && document.activeElement === document.body) {
    const row = known.get(where[0]);
    [...(row?.querySelectorAll("a, button") ?? [])].find((one) => (one.dataset.rowAction ?? one.className) === where[1])?.focus();
  }
  const card = body.closest(".card");
  card.querySelector("[data-has-rows]").hidden = !body.children.length;
  card.querySelector("[data-has-none]").hidden = Boolean(body.children.length);
}

function show(change) {
  if (moving) {
    held = merged(held, change);
    return;
  }
  document.title = `${change.title} · MiTorch`;
  for (const [name, html] of Object.entries(change.parts)) {
    const part = document.querySelector(`[data-part="${name}"]`);
    part.innerHTML = html;
    part.classList.toggle("is-empty", !part.children.length);
  }
  for (const [key, rows] of Object.entries(change.tables)) showRows(key, rows);
  refreshTimes();
}

function merged(one, other) {
  if (!one) return other;
  const tables = { ...one.tables };
  for (const [key, rows] of Object.entries(other.tables)) {
    tables[key] = { ...tables[key], ...rows, rows: { ...tables[key]?.rows, ...rows.rows } };
  }
  return { title: other.title, parts: { ...one.parts, ...other.parts }, tables };
}

function endMove() {
  moving = null;
  if (held) show(held);
  held = null;
}

let version = document.querySelector("[data-queue]").dataset.queue;
new LiveStream(() => `/api/events/queue?${new URLSearchParams({ version })}`, {
  queue: (message) => {
    version = message.lastEventId;
    show(JSON.parse(message.data));
  },
  problem: (message) => toast(JSON.parse(message.data).error, true),
});

// Order: the rows move at once; the priorities follow, and can be taken back.

function say(text) {
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}

function numberPlaces() {
  rowsOf(waiting).forEach((row, index) => {
    row.querySelector(".place > span").textContent = index + 1;
    row.querySelector(".handle")?.setAttribute("aria-label", `Move ${row.dataset.name}, place ${index + 1}`);
  });
}

function begin(row) {
  if (moving?.row === row) return;
  if (moving) commit();
  moving = { row, order: rowsOf(waiting), timer: 0 };
}

function putAt(row, index) {
  const rows = rowsOf(waiting).filter((one) => one !== row);
  const to = Math.max(0, Math.min(rows.length, index));
  waiting.insertBefore(row, rows[to] ?? null);
  numberPlaces();
  return to;
}

/** Puts the rows in the order of these ids, with the priorities that they had: the server may not have seen another. */
function restore(ids, priorities) {
  const known = new Map(rowsOf(waiting).map((row) => [row.dataset.id, row]));
  const others = rowsOf(waiting).filter((row) => !ids.includes(row.dataset.id));
  waiting.replaceChildren(...ids.map((id) => known.get(id)).filter(Boolean), ...others);
  for (const [id, priority] of priorities) if (known.has(id)) known.get(id).dataset.priority = priority;
  numberPlaces();
}

async function setPriorities(changes) {
  const byPriority = Map.groupBy ? Map.groupBy(changes, (one) => one.priority) : changes.reduce((map, one) => map.set(one.priority, [...(map.get(one.priority) ?? []), one]), new Map());
  for (const [priority, some] of byPriority) {
    if (some.length === 1) await call("PATCH", `/api/trainings/${some[0].id}`, { priority });
    else {
      const answer = await call("POST", "/api/actions", { action: "change", ids: some.map((one) => one.id), priority });
      if (answer.refused.length) throw new Error(answer.refused[0].reason);
    }
  }
}

function explained(row, changes) {
  const own = changes.find((one) => one.id === row.dataset.id);
  const others = changes.length - 1;
  const text = `${row.dataset.name} is at place ${rowsOf(waiting).indexOf(row) + 1}, with priority ${own.priority}.`;
  if (!others) return text;
  return `${text} Its neighbours had equal priorities, so ${others === 1 ? "one other got a new one" : `${others} others got new ones`}, too; their order among themselves stays.`;
}

async function commit() {
  const { row, order, timer } = moving;
  clearTimeout(timer);
  const rows = rowsOf(waiting);
  const ids = order.map((one) => one.dataset.id), before = new Map(order.map((one) => [one.dataset.id, Number(one.dataset.priority)]));
  const total = Number(document.querySelector(".tile.is-new b")?.textContent.replaceAll(",", "") ?? rows.length);
  const changes = changesFor(rows.map(place), rows.indexOf(row), total > rows.length);
  if (!changes.length) return endMove();
  for (const { id, priority } of changes) rows.find((one) => one.dataset.id === id).dataset.priority = priority;
  try {
    await setPriorities(changes);
    offerUndo(explained(row, changes), changes.map(({ id }) => ({ id, priority: before.get(id) })), () => restore(ids, before));
  } catch (error) {
    restore(ids, before);
    toast(`The order stays: ${error.message}`, true);
  }
  if (moving?.row === row) endMove();
}

function offerUndo(text, changes, undone) {
  toast(text);
  const element = document.querySelector(".toasts").lastElementChild;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Undo";
  button.addEventListener("click", async () => {
    element.remove();
    try {
      await setPriorities(changes);
      undone();
      toast("The order is as it was.");
    } catch (error) {
      toast(error.message, true);
    }
  });
  element.append(" ", button);
}

if (mayChange) {
  waiting.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    const step = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity }[event.key];
    if (!row || !event.altKey || step === undefined) return;
    event.preventDefault();
    begin(row);
    const at = rowsOf(waiting).indexOf(row);
    const to = putAt(row, step === -Infinity ? 0 : at + step);
    row.querySelector(".handle").focus();
    say(to === at ? `${row.dataset.name} stays at place ${to + 1}.` : `${row.dataset.name}: place ${to + 1} of ${waiting.children.length}.`);
    clearTimeout(moving.timer);
    moving.timer = setTimeout(commit, COMMIT_MS);
  });

  waiting.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest(".handle");
    if (!handle || event.button) return;
    const row = handle.closest("tr");
    begin(row);
    row.classList.add("is-dragged");
    document.body.classList.add("is-dragging");
    handle.setPointerCapture(event.pointerId);
    const move = (at) => {
      const others = rowsOf(waiting).filter((one) => one !== row);
      const index = others.filter((one) => { const box = one.getBoundingClientRect(); return box.top + box.height / 2 < at.clientY; }).length;
      if (index !== rowsOf(waiting).indexOf(row)) { putAt(row, index); handle.setPointerCapture(event.pointerId); }
      if (at.clientY > innerHeight - 40) scrollBy(0, 12);
      if (at.clientY < 96) scrollBy(0, -12);
    };
    const drop = (at) => {
      handle.removeEventListener("pointermove", move);
      row.classList.remove("is-dragged");
      document.body.classList.remove("is-dragging");
      if (at.type === "pointercancel") { waiting.replaceChildren(...moving.order); numberPlaces(); }
      commit();
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", drop, { once: true });
    handle.addEventListener("pointercancel", drop, { once: true });
  });
}

// Orders of single rows.

const DONE = { cancel: "is being canceled.", retry: "is queued again." };
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-row-action]");
  if (!button) return;
  const row = button.closest("tr"), action = button.dataset.rowAction;
  const name = row.querySelector(".name a").textContent;
  if (action === "cancel" && row.closest("[data-rows=running]") && !confirm(`Cancel ${name}, which runs? It can be retried from its last checkpoint.`)) return;
  button.disabled = true;
  try {
    await call("POST", `/api/trainings/${row.dataset.id}/${action}`);
    toast(`${name} ${DONE[action]}`);
  } catch (error) {
    button.disabled = false;
    toast(error.message, true);
  }
});
