// The rows of the table as they change. None moves: what came meanwhile is only counted, with a link to show it.
import { refreshTimes, toast } from "./app.js";
import { LiveStream } from "./stream.js";

const MOST_ROWS = 100; // of one stream
const SETTLE_MS = 400; // of scrolling
const RELATIVE = /(<time [^>]*>)[^<]*/g;
const constant = (html) => html.replace(RELATIVE, "$1");

/** The rows to watch: all of a small table, else those nearest to what is seen. */
function watched(rows) {
  if (rows.length <= MOST_ROWS) return rows;
  const middle = innerHeight / 2;
  const distance = new Map(rows.map((row) => [row, Math.abs(row.getBoundingClientRect().top - middle)]));
  return [...rows].sort((a, b) => distance.get(a) - distance.get(b)).slice(0, MOST_ROWS);
}

function rowFrom(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // rendered and escaped by the server
  return template.content.querySelector("tr");
}

/** Puts the cells that differ into a row; its selection and the focus stay. */
function showRow(row, html) {
  const shown = rowFrom(html);
  const name = row.querySelector("th a"), newName = shown.querySelector("th a");
  if (name.textContent !== newName.textContent) { name.replaceChildren(...newName.childNodes); name.title = newName.title; }
  [...shown.querySelectorAll("td")].forEach((cell, index) => {
    const old = row.querySelectorAll("td")[index];
    if (!old || constant(old.outerHTML) === constant(cell.outerHTML)) return;
    const hadFocus = old.contains(document.activeElement);
    old.replaceWith(cell);
    cell.classList.add("has-changed");
    if (hadFocus) (cell.querySelector("a") ?? row).focus();
  });
  refreshTimes(row);
}

function showNew(count) {
  const place = document.querySelector("[data-new-rows]"), said = document.querySelector("[data-new-said]");
  const text = `${count.toLocaleString("en")} new`;
  place.querySelector("a").textContent = text;
  place.hidden = false;
  if (said.textContent !== text) said.textContent = text;
}

export function followTable(table) {
  const rows = [...table.tBodies[0].rows], byId = new Map(rows.map((row) => [row.dataset.id, row]));
  const { place, live } = table.dataset;
  let { version } = table.dataset, followed = watched(rows);
  const stream = new LiveStream(() => {
    const query = new URLSearchParams({ ids: followed.map((row) => row.dataset.id).join(","), place });
    if (version && followed.length === rows.length) query.set("version", version);
    version = ""; // what the page has shown since has changed
    return `${live}&${query}`;
  }, {
    rows: (message) => {
      const { rows: changed, gone } = JSON.parse(message.data);
      for (const [id, html] of Object.entries(changed)) if (byId.has(id)) showRow(byId.get(id), html);
      for (const id of gone) byId.get(id)?.classList.add("is-gone");
    },
    new: (message) => showNew(JSON.parse(message.data).trainings),
    problem: (message) => toast(JSON.parse(message.data).error, true),
  });
  if (rows.length > MOST_ROWS) {
    let timer = 0;
    const settle = () => { clearTimeout(timer); timer = setTimeout(() => { followed = watched(rows); stream.restart(); }, SETTLE_MS); };
    table.closest(".tall-table").addEventListener("scroll", settle, { passive: true });
    addEventListener("scroll", settle, { passive: true });
  }
}
