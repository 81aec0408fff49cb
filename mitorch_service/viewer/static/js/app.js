// What every page has: theme, times that stay true, keys, messages, and calls of the API.

const THEME_DAYS = 365;

function nextTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  return dark ? "light" : "dark";
}

document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  const theme = nextTheme();
  document.documentElement.dataset.theme = theme;
  document.cookie = `mitorch_theme=${theme}; path=/; max-age=${THEME_DAYS * 86400}; samesite=strict`;
  document.dispatchEvent(new CustomEvent("theme"));
});

// The same words as wording/elapsed.py.
export function durationText(seconds) {
  const whole = Math.round(seconds);
  const minutes = Math.round(whole / 60);
  if (whole < 100) return `${whole} s`;
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  const two = (n) => String(n).padStart(2, "0");
  return hours < 48 ? `${hours} h ${two(minutes % 60)} min` : `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

export function refreshTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const passed = (Date.now() - new Date(time.dateTime)) / 1000;
    time.textContent = passed < -1 ? `in ${durationText(-passed)}` : `${durationText(Math.max(0, passed))} ago`;
  }
}
setInterval(refreshTimes, 10_000);

export function toast(text, problem = false) {
  const element = document.createElement("div");
  element.className = problem ? "toast is-problem" : "toast";
  element.textContent = text;
  document.querySelector(".toasts").append(element);
  setTimeout(() => element.remove(), problem ? 12_000 : 5_000);
}

/** Calls the API; returns what it answers. Throws an Error with the server's words. */
export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = response.headers.get("content-type")?.includes("json") ? await response.json() : null;
  if (!response.ok) throw new Error(answer?.error ?? `The server answered ${response.status}.`);
  return answer;
}

// What can be copied by a click.
document.addEventListener("click", async (event) => {
  const place = event.target.closest?.("[data-copy]");
  if (!place || !navigator.clipboard || String(getSelection())) return;
  await navigator.clipboard.writeText(place.textContent).then(() => toast("Copied."), () => {}); // else it can be selected
});

// One key each: / to the search box; g and a letter to a section; ? lists them where a page has a list.
const SECTIONS = { q: "/", t: "/trainings", s: "/jobs", d: "/datasets", h: "/status" };
let leader = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("[data-key='/']")?.focus();
  } else if (event.key === "g") {
    leader = Date.now();
  } else if (Date.now() - leader < 1500 && SECTIONS[event.key]) {
    location.href = SECTIONS[event.key];
  }
});

// What can be scrolled sideways can be reached by the keyboard, and only then.
const scrolled = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const element of document.querySelectorAll(".scroll")) scrolled.observe(element);
