// The page of a data set: sample images that took longer to read than the page was to wait.
const card = document.querySelector("[data-samples]");

async function load() {
  for (let tries = 0; tries < 20; tries += 1) {
    const response = await fetch(card.dataset.samples);
    if (!response.ok) return;
    const loaded = new DOMParser().parseFromString(await response.text(), "text/html");
    const ready = loaded.querySelector("#samples").closest("section");
    if ("samples" in ready.dataset) continue;
    const warnings = loaded.querySelectorAll("main > .warn");
    card.closest(".grid").before(...warnings);
    card.replaceWith(ready);
    return;
  }
}
if (card) load();
