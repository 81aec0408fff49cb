// The table of trainings: suggestions, columns, saved views, selection and orders for many.
import { call, toast } from "./app.js";
import { Selection } from "./selection.js";
import { followTable } from "./table_live.js";
import { Suggestions } from "./suggestions.js";

const MOST_COMPARED = 100, MOST_IDS = 1000, SHOWN_REFUSALS = 8;
document.body.dataset.scripted = "";
const here = new URLSearchParams(location.search);
const counted = (n, what = "training") => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

new Suggestions(document.querySelector("[data-filter]"), document.querySelector(".suggestions"));
for (const form of document.querySelectorAll(".filter, [data-columns-form]")) {
  form.addEventListener("submit", () => { for (const input of form.querySelectorAll("input")) if (!input.value) input.disabled = true; });
}
addEventListener("pageshow", () => { for (const input of document.querySelectorAll("input:disabled")) input.disabled = false; });

// Menus close by Escape and by a click elsewhere.
const menus = [...document.querySelectorAll("details.menu")];
document.addEventListener("click", (event) => { for (const menu of menus) if (!menu.contains(event.target)) menu.open = false; });
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && menus.find((menu) => menu.open);
  if (open) { open.open = false; open.querySelector("summary").focus(); }
});

// Saved views.

document.querySelector("[data-save-view]")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = new FormData(event.target).get("name").trim();
  const given = { where: "q", sort: "sort", columns: "columns", group_by: "group", value: "value" };
  const body = { name };
  for (const [field, parameter] of Object.entries(given)) if (here.get(parameter)) body[field] = here.get(parameter);
  try {
    await call("PUT", "/api/views", body);
    toast(`The view ${name} is saved: miquery --view shows it, too.`);
    setTimeout(() => location.reload(), 900);
  } catch (error) { toast(error.message, true); }
});
for (const button of document.querySelectorAll("[data-remove-view]")) {
  button.addEventListener("click", async () => {
    const name = button.dataset.removeView;
    if (!confirm(`Remove the view ${name}, for everybody?`)) return;
    try {
      await call("DELETE", `/api/views?${new URLSearchParams({ name })}`);
      button.closest(".menu-row").remove();
    } catch (error) { toast(error.message, true); }
  });
}

// Columns: a list to choose from, found by a part of the name.

const columnsMenu = document.querySelector("[data-columns]");
if (columnsMenu) {
  const form = columnsMenu.querySelector("form"), text = form.querySelector("[name=columns]");
  const chosen = new Set(columnsMenu.dataset.columns.split(",").map((name) => name.trim()).filter(Boolean));
  const find = document.createElement("input"), list = document.createElement("ul"), label = document.createElement("label");
  find.type = "search";
  find.placeholder = "config, metric, param, best.…";
  label.append("Find a column", find);
  list.className = "column-list";
  form.prepend(label, list);
  text.closest("label").hidden = true;

  const option = ({ name, rows }, sampled) => {
    const item = document.createElement("li"), label = document.createElement("label"), box = document.createElement("input"), note = document.createElement("small");
    box.type = "checkbox";
    box.checked = chosen.has(name);
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(name); else chosen.delete(name);
      text.value = [...chosen].map((one) => (/[",]/.test(one) ? `"${one.replaceAll('"', '""')}"` : one)).join(",");
    });
    note.textContent = rows === undefined || rows === sampled ? "" : `in ${rows} of ${sampled}`;
    label.append(box, name, note);
    item.append(label);
    return item;
  };
  let asked = 0, timer = 0;
  const ask = async () => {
    const number = ++asked, part = find.value.trim();
    try {
      const answer = await call("GET", `/api/columns?${new URLSearchParams({ part, limit: 60 })}`);
      if (number !== asked) return;
      const first = part ? [] : [...chosen].map((name) => ({ name }));
      const others = answer.columns.filter((one) => one.name !== "name" && (part || !chosen.has(one.name)));
      list.replaceChildren(...[...first, ...others].map((one) => option(one, answer.sampled)));
      if (answer.total > answer.columns.length) {
        const more = document.createElement("li");
        more.className = "quiet-text";
        more.textContent = `and ${answer.total - answer.columns.length} more: write a part of the name`;
        list.append(more);
      }
    } catch (error) { toast(error.message, true); }
  };
  find.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 150); });
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  columnsMenu.addEventListener("toggle", () => { if (columnsMenu.open) { ask(); find.focus(); } });
}

// Orders for many: first how many it is for, then the order, then what came of each.

const table = document.querySelector("[data-table]");
const dialog = document.querySelector("[data-dialog]");

function ask({ title, text, ok, field, list, danger }) {
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("[data-dialog-text]").textContent = text;
  const label = dialog.querySelector("[data-dialog-field]"), input = label.querySelector("input");
  label.hidden = !field;
  input.required = Boolean(field);
  if (field) { label.querySelector("span").textContent = field.label; input.type = field.type; input.value = ""; input.placeholder = field.example; input.pattern = field.pattern ?? ".*"; }
  const items = dialog.querySelector("[data-dialog-list]");
  items.hidden = !list;
  items.replaceChildren(...(list ?? []).map((line) => { const item = document.createElement("li"); item.textContent = line; return item; }));
  const button = dialog.querySelector("[data-dialog-ok]");
  button.textContent = ok;
  button.classList.toggle("danger", Boolean(danger));
  button.classList.toggle("primary", !danger);
  dialog.querySelector("[data-dialog-no]").hidden = ok === "Close";
  dialog.returnValue = "";
  dialog.showModal();
  (field ? input : button).focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? input.value.trim() || true : null), { once: true }));
}

const VERBS = {
  cancel: { verb: "Cancel", text: "What waits is canceled at once; what runs is asked to stop. Both can be retried.", done: "canceled" },
  retry: { verb: "Retry", text: "Those that ended without being completed are queued again.", done: "queued again" },
  delete: { verb: "Delete", text: "Documents, curves and files are deleted. This cannot be undone.", done: "deleted", danger: true },
  priority: { verb: "Set the priority of", text: "Lower starts first; 100 is usual.", done: "changed", field: { label: "Priority", type: "number", example: "100" } },
  tag: { verb: "Tag", text: "A tag takes the place of one with its key.", done: "tagged", field: { label: "Tag", type: "text", example: "team=vision", pattern: ".+=.*" } },
};

function order(action, value) {
  if (action === "priority") return { action: "change", priority: Number(value) };
  if (action === "tag") return { action: "change", add_tags: [value] };
  return { action };
}

async function bulk(selection, where, action) {
  const { verb, text, done, field, danger } = VERBS[action];
  const whom = selection.everything ? { where } : { ids: [...selection.ids].slice(0, MOST_IDS) };
  let n = selection.count;
  if (selection.everything) {
    const told = await call("POST", "/api/actions", { ...order("cancel"), ...whom, dry_run: true });
    n = told.trainings;
  }
  const value = await ask({ title: `${verb} ${counted(n)}?`, text, ok: `${verb.split(" ")[0]} ${counted(n)}`, field, danger });
  if (value === null) return;
  const answer = await call("POST", "/api/actions", { ...order(action, value), ...whom, expected: n });
  const reasons = answer.refused.slice(0, SHOWN_REFUSALS).map((one) => `${one.id.slice(0, 8)}: ${one.reason}`);
  if (answer.refused.length > SHOWN_REFUSALS) reasons.push(`and ${answer.refused.length - SHOWN_REFUSALS} more`);
  const rest = answer.left || answer.complete === false ? " There was no time for all: do it again for the others." : "";
  if (reasons.length || rest) {
    await ask({ title: `${counted(answer.changed.length)} ${done}`, text: `${answer.refused.length ? `${answer.refused.length} left as they are:` : ""}${rest}`, ok: "Close", list: reasons });
  } else toast(`${counted(answer.changed.length)} ${done}.`);
  setTimeout(() => location.reload(), reasons.length || rest ? 0 : 900);
}

if (table) {
  const selection = new Selection(table), where = table.dataset.where;
  const bar = document.querySelector("[data-selection]"), all = document.querySelector("[data-select-matching]"), box = table.querySelector("[data-select-page]");
  const matching = document.querySelector("[data-matching]")?.dataset.matching;
  const show = () => {
    bar.hidden = !selection.count;
    const whole = selection.count === selection.rows.length;
    box.checked = whole;
    box.indeterminate = selection.count > 0 && !whole;
    bar.querySelector("[data-selected-count]").textContent = selection.everything ? `All ${matching ? Number(matching).toLocaleString("en") : ""} that match` : `${selection.count} selected`;
    all.hidden = !whole || selection.everything || (matching !== undefined && Number(matching) <= selection.rows.length);
    all.textContent = matching ? `Select all ${Number(matching).toLocaleString("en")} that match` : "Select all that match";
    bar.querySelector("[data-bulk=compare]").disabled = selection.everything || selection.count < 2 || selection.count > MOST_COMPARED;
  };
  const everything = () => { selection.everything = true; show(); };
  selection.addEventListener("change", show);
  selection.addEventListener("everything", everything);
  all.addEventListener("click", everything);
  bar.addEventListener("click", async (event) => {
    const action = event.target.closest("[data-bulk]")?.dataset.bulk;
    if (action === "compare") location.href = `/compare?ids=${[...selection.ids].join(",")}`;
    else if (action === "clear") selection.setAll(false);
    else if (action === "export") {
      const query = { format: "csv", where: selection.everything ? where : `id:${[...selection.ids].slice(0, MOST_COMPARED).join(",")}` };
      if (here.get("columns")) query.columns = `name,${here.get("columns")}`;
      location.href = `/api/trainings/export?${new URLSearchParams(query)}`;
    } else if (action) {
      try { await bulk(selection, where, action); } catch (error) { toast(error.message, true); }
    }
  });
  addEventListener("pageshow", (event) => { if (event.persisted) selection.setAll(false); });
  followTable(table);
}
