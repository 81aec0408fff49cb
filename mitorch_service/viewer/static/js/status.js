// Shows the page anew every 15 seconds while it is looked at.

import { refreshTimes } from "./app.js";

const EVERY = 15_000;
const main = document.getElementById("main");

async function refresh() {
  if (document.hidden || main.contains(document.activeElement)) return; // whoever is in the page keeps their place
  const response = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  main.replaceChildren(...page.getElementById("main").childNodes);
  document.title = page.title;
  refreshTimes(main);
}
setInterval(refresh, EVERY);
