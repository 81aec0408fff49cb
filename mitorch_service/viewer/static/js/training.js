// The page of one training: curves, state and log as they grow, and its actions.
import { call, durationText, toast } from "./app.js";
import { CurvePanel } from "./curves.js";
import { LiveStream } from "./stream.js";

const head = document.querySelector("[data-training]");
const id = head.dataset.training;
const log = document.querySelector("[data-log]");
const LONGEST_LOG = 400_000; // characters that are kept in the page

const losses = (measure) => (measure === "train_loss" || measure === "val_loss" ? { chart: "loss", dash: measure === "train_loss" } : { chart: measure, dash: false });
new CurvePanel(document.querySelector("[data-curves]"), { ids: [id], lines: losses, follow: !("ended" in head.dataset) });

function pill(status) {
  const element = document.createElement("span");
  element.className = `pill is-${status}`;
  element.textContent = status;
  return element;
}

function showState(state) {
  head.querySelector("[data-live=status]").replaceChildren(pill(state.status));
  const bar = head.querySelector("[data-live=progress] progress");
  if (bar) bar.value = state.done;
  const text = head.querySelector("[data-live=progress] .number");
  if (text) text.textContent = state.total ? `${state.done}/${state.total}` : state.done;
  head.querySelector("[data-live=left]").textContent = state.remaining_seconds === null ? "" : `about ${durationText(state.remaining_seconds)} left`;
  const done = state.total && state.done ? ` ${state.done}/${state.total}` : "";
  document.title = `${state.status}${done} · ${state.name} · MiTorch`;
}

// Escape sequences of a terminal say nothing here; a carriage return overwrites the line, as progress bars do.
function plainLog(text) {
  return text.replace(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))/g, "").replace(/[^\n]*\r(?!\n)/g, "");
}

function addToLog(text) {
  const atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 30;
  if (!log.dataset.begun) log.textContent = "";
  log.dataset.begun = "true";
  log.textContent = (log.textContent + plainLog(text)).slice(-LONGEST_LOG);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

const startedEnded = "ended" in head.dataset;
const events = new LiveStream(() => `/api/events/trainings/${id}${log ? "?log=true" : ""}`, {
  open: () => {
    if (!log) return;
    if (!log.dataset.begun) log.textContent = "Reading the log …";
    log.dataset.begun = ""; // the stream begins with the end of what there is
  },
  state: (message) => showState(JSON.parse(message.data)),
  log: (message) => addToLog(JSON.parse(message.data).text),
  problem: (message) => {
    const state = document.querySelector("[data-log-state]");
    if (state) state.textContent = JSON.parse(message.data).error;
  },
  end: () => {
    events.close();
    if (log && !log.dataset.begun) log.textContent = "The cluster has no log of this attempt any more.";
    if (!startedEnded) setTimeout(() => location.reload(), 1500); // attempts, evaluation and files are there now
  },
});

const DONE = { cancel: "It is being canceled.", retry: "It is queued again.", delete: "It is deleted." };

async function act(action) {
  if (action === "delete" && !confirm("Delete this training, its curves and its files? This cannot be undone.")) return;
  try {
    if (action === "delete") await call("DELETE", `/api/trainings/${id}`);
    else await call("POST", `/api/trainings/${id}/${action}`);
    toast(DONE[action]);
    setTimeout(() => { if (action === "delete") location.href = "/"; else location.reload(); }, 900);
  } catch (error) {
    toast(error.message, true);
  }
}
for (const button of document.querySelectorAll("[data-action]")) button.addEventListener("click", () => act(button.dataset.action));

document.querySelector("[data-note]")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const note = new FormData(event.target).get("note").trim();
  try {
    await call("PATCH", `/api/trainings/${id}`, { note: note || null });
    toast("The note is saved.");
  } catch (error) {
    toast(error.message, true);
  }
});

document.querySelector("[data-share]")?.addEventListener("click", async (event) => {
  try {
    const answer = await call("POST", "/api/shares", { subject: event.currentTarget.dataset.share, days: 7 });
    document.querySelector("[data-share-link]").textContent = new URL(answer.link ?? answer.path, location.href).href;
  } catch (error) {
    toast(error.message, true);
  }
});

// The list of the code's files, which are in an archive: it is read when the page is there.
const code = document.querySelector("[data-code]");
if (code) {
  fetch(code.dataset.code).then(async (response) => {
    if (!response.ok) return;
    const loaded = new DOMParser().parseFromString(await response.text(), "text/html");
    const card = loaded.getElementById("code-card"), warnings = loaded.querySelectorAll("main > .warn");
    if (card) { card.querySelector("details[open]")?.removeAttribute("open"); code.replaceWith(card); card.querySelector("header").after(...warnings); }
  }).catch(() => {}); // the card has a link to the page
}
