"""Pages in headless Chromium: the bytes that they load, when the first view is complete, how much it moves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

_CHROMIUM = Path(__file__).parents[2] / "scripts" / "browser"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_SETTLE_MILLISECONDS = 1500  # after which nothing that is part of the first view is added any more
_OBSERVE = """
window.seen = {lcp: 0, cls: 0, shifts: []};
new PerformanceObserver(list => { for (const e of list.getEntries()) seen.lcp = e.startTime; })
  .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => {
  for (const e of list.getEntries()) if (!e.hadRecentInput) {
    seen.cls += e.value;
    const moved = e.sources.map(({ node }) => node && (node.id || node.className || node.nodeName));
    seen.shifts.push(e.value.toFixed(4) + " " + moved);
  }
}).observe({type: "layout-shift", buffered: true});
"""


@dataclass(frozen=True)
class View:
    """A page as a browser saw it."""

    lcp: float  # milliseconds until the largest part of the first view was painted
    shift: float  # cumulative layout shift
    kilobytes: float  # compressed, of everything that was loaded
    shifts: list[str]  # what moved


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium."""
    path = subprocess.run([_CHROMIUM, "chromium"], capture_output=True, text=True, check=True).stdout.strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


def view(browser: Browser, url: str) -> View:
    """Loads a page with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    sizes: list[float] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.add_init_script(_OBSERVE)
    page.goto(url, wait_until="load")
    page.wait_for_timeout(_SETTLE_MILLISECONDS)
    seen: dict[str, Any] = page.evaluate("window.seen")
    context.close()
    return View(seen["lcp"], seen["cls"], sum(sizes) / 1000, seen["shifts"])
