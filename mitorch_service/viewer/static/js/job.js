// The page of one search: its charts and trials as they come, its state live, and its actions.
import { call, toast } from "./app.js";
import { numberText } from "./numbers.js";
import { Parallel } from "./parallel.js";
import { LiveStream } from "./stream.js";
import { TrialTable } from "./trials.js";

const head = document.querySelector("[data-job]");
const id = head.dataset.job;
const LEAST_REST = 5_000; // milliseconds between two readings of a search that goes on
const chosen = { over: "results", pair: new URLSearchParams(location.search) };

// Charts: the server draws them; a script chooses which is seen.
function switchOver(root) {
  const group = root.querySelector("[data-switch=history]");
  if (!group) return;
  const card = group.closest(".card");
  card.classList.add("is-switched");
  const show = (over) => {
    if (![...group.children].some((one) => one.dataset.shows === over)) over = group.children[0].dataset.shows;
    chosen.over = over;
    for (const one of group.children) one.setAttribute("aria-pressed", String(one.dataset.shows === over));
    for (const figure of card.querySelectorAll("[data-part]")) figure.hidden = figure.dataset.part !== over;
  };
  group.addEventListener("click", (event) => event.target.dataset.shows && show(event.target.dataset.shows));
  show(chosen.over);
}

function watchPair(root) {
  const form = root.querySelector("[data-contour]");
  if (!form) return;
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => {
    chosen.pair = new URLSearchParams(new FormData(form));
    loadCharts("contour");
  });
}

// What can be scrolled sideways can be reached by the keyboard, and only then.
const scrolled = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

function equip(root) {
  for (const figure of root.querySelectorAll(".plot")) scrolled.observe(figure);
  switchOver(root);
  watchPair(root);
}

async function loadCharts(focus = "") {
  for (;;) {
    const response = await fetch(`/jobs/${id}/charts?${new URLSearchParams({ x: chosen.pair.get("x") ?? "", y: chosen.pair.get("y") ?? "" })}`);
    if (response.status === 202) continue;
    if (!response.ok) return;
    const loaded = new DOMParser().parseFromString(await response.text(), "text/html");
    const active = document.activeElement?.name;
    for (const part of loaded.querySelectorAll("[data-charts]")) {
      const place = document.querySelector(`[data-charts=${part.dataset.charts}]`);
      place.replaceChildren(...part.childNodes);
      delete place.dataset.missing;
      equip(place);
    }
    if (focus && active) document.querySelector(`#${focus}`)?.closest("section").querySelector(`[name=${active}]`)?.focus();
    return;
  }
}

// Trials: parallel coordinates choose what the table shows.
const table = document.querySelector("table[data-trials]");
const place = document.querySelector("[data-parallel]");
const trials = table && new TrialTable(table, document.querySelector("[data-pages]"), document.querySelector("[data-trials-count]"), id);

function ranksOf(data) {
  const values = data.values[0];
  const way = data.directions[0] === "minimize" ? -1 : 1;
  const known = values.map((_, i) => i).filter((i) => values[i] !== null);
  known.sort((a, b) => way * (values[a] - values[b]));
  const ranks = values.map(() => null);
  known.forEach((i, rank) => { ranks[i] = known.length > 1 ? rank / (known.length - 1) : 1; });
  return ranks;
}

function objectiveAxis(name, values, direction) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  const beyond = Math.floor(known.length * 0.03); // as charts/scales.py: a few bad ones do not hide the others
  const median = known[Math.floor(known.length / 2)];
  let [low, high] = [known[0], known[known.length - 1]];
  if (direction === "minimize" && median > low) high = Math.min(known[known.length - 1 - beyond], low + 5 * (median - low));
  if (direction === "maximize" && median < high) low = Math.max(known[beyond], high - 5 * (high - median));
  return { name, low, high, log: false, integer: false, options: [], values };
}

async function loadTrials() {
  if (!trials) return;
  const data = await call("GET", `/api/jobs/${id}/trials`);
  const objectives = data.objectives.map((name, index) => objectiveAxis(name, data.values[index], data.directions[index])).filter((axis) => axis.low !== undefined);
  const axes = [...data.columns.filter((column) => column.values.some((value) => value !== null)), ...objectives];
  place.hidden = axes.length < 2;
  place.replaceChildren();
  trials.show(data, null);
  if (!place.hidden) new Parallel(place, axes, ranksOf(data), (mask) => trials.show(data, mask));
}

equip(document);
if (document.querySelector("[data-charts=more]")?.dataset.missing !== undefined || document.querySelector("[data-charts] .pending")) loadCharts();
loadTrials().catch((error) => toast(error.message, true));

// State, as it changes.
function showState(state) {
  const pill = document.createElement("span");
  pill.className = `pill is-${state.status}`;
  pill.textContent = state.status;
  head.querySelector("[data-live=status]").replaceChildren(pill);
  head.querySelector("[data-live=done]").textContent = state.done.toLocaleString("en");
  const best = document.querySelector("[data-live=best]");
  if (best && state.best !== null) {
    best.textContent = numberText(state.best);
    best.closest("a").href = `/jobs/${id}/trials/${state.best_trial}`;
    best.parentElement.querySelector("[data-live=best_trial]").textContent = state.best_trial;
  }
  const of = state.ended ? `${state.status}, ${state.done} trials` : `${state.done}/${state.max_trials} trials`;
  document.title = `${of}${state.best === null ? "" : `, best ${numberText(state.best)}`} · ${state.name} · MiTorch`;
}

const startedEnded = "ended" in head.dataset;
let known = null;
let reading = null;
function readAnew() {
  if (place?.querySelector("details[open]") || table?.matches(":focus-within")) return; // somebody is at work in it
  reading ??= setTimeout(async () => {
    await Promise.allSettled([loadCharts(), loadTrials()]);
    reading = null;
  }, LEAST_REST);
}
const events = new LiveStream(() => `/api/events/jobs/${id}`, {
  state: (message) => {
    const counts = JSON.stringify(JSON.parse(message.data).counts);
    showState(JSON.parse(message.data));
    if (known !== null && known !== counts) readAnew();
    known = counts;
  },
  importance: () => {
    if (document.querySelector("[data-weighing]")) loadCharts();
  },
  end: () => {
    events.close();
    if (!startedEnded) setTimeout(() => location.reload(), 1500);
  },
  problem: () => events.close(),
});

// Actions.
const QUESTIONS = {
  cancel: "Cancel this search and its trials that have not ended?",
  retry: "Queue these trials again: all that failed, diverged, were canceled or pruned?",
  delete: "Delete this search with all its trials, their curves and files? This cannot be undone.",
};
const DONE = { cancel: "It is being canceled.", retry: "The trials are queued again.", delete: "It is deleted." };

async function attempt(work, done) {
  try {
    await work();
    toast(done);
    return true;
  } catch (error) {
    toast(error.message, true);
    return false;
  }
}

for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", async () => {
    const { action } = button.dataset;
    const count = button.dataset.count ? ` (${button.dataset.count})` : "";
    if (!confirm(QUESTIONS[action] + count)) return;
    const order = () => (action === "delete" ? call("DELETE", `/api/jobs/${id}`) : call("POST", `/api/jobs/${id}/${action}`));
    if (!(await attempt(order, DONE[action]))) return;
    setTimeout(() => { if (action === "delete") location.href = "/jobs"; else location.reload(); }, 900);
  });
}

const patch = (body) => call("PATCH", `/api/jobs/${id}`, body);
document.querySelector("[data-note]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => patch({ note: new FormData(event.target).get("note").trim() || null }), "The note is saved.");
});
document.querySelector("[data-priority]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => patch({ priority: Number(new FormData(event.target).get("priority")) }), "The priority is set.");
});
document.querySelector("[data-tag]")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const tag = new FormData(event.target).get("tag").trim();
  if (await attempt(() => patch({ add_tags: [tag] }), "The tag is added.")) location.reload();
});
for (const button of document.querySelectorAll("[data-untag]")) {
  button.addEventListener("click", async () => {
    if (await attempt(() => patch({ remove_tags: [button.dataset.untag] }), "The tag is removed.")) location.reload();
  });
}
document.querySelector("[data-share]")?.addEventListener("click", async (event) => {
  try {
    const answer = await call("POST", "/api/shares", { subject: event.currentTarget.dataset.share, days: 7 });
    document.querySelector("[data-share-link]").textContent = new URL(answer.link ?? answer.path, location.href).href;
  } catch (error) {
    toast(error.message, true);
  }
});
