"""Takes pictures of the viewer's pages: of the newest training that is no trial, and of the newest search.

    python -m scripts.page_pictures FOLDER

Called by scripts/screenshots. Serves the database that the settings name, read-only, for as long as it takes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.wiring import open_store

THEMES = ("light", "dark")
_ROOT = Path(__file__).parents[1]
_SIZE = {"width": 1280, "height": 1000}
_QUIET_MILLISECONDS = 1500  # after which charts are drawn
_UNFINISHED, _MOST_MILLISECONDS = "being computed", 60_000  # what a search's page says of its importance at first


def addresses(store: Store) -> dict[str, str]:
    """Name of a picture -> the page that it shows."""
    rows = store.trainings.list_trainings(TrainingFilter(), 1000).items
    training = next(row.id for row in rows if row.job_id is None)
    return {"search": f"/jobs/{store.jobs.list_jobs(1).items[0].id}", "training": f"/trainings/{training}"}


def take(
    browser: Browser, link: str, pages: dict[str, str], folder: Path, milliseconds: float = _QUIET_MILLISECONDS
) -> list[Path]:
    """Takes NAME-THEME.png of each page, so long after it was loaded. `link` signs in."""
    found = []
    for theme in THEMES:
        context = browser.new_context(viewport=_SIZE, color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(link)
        root = link.partition("/?")[0].rstrip("/")
        for name, address in pages.items():
            page.goto(root + address, wait_until="load")
            page.wait_for_timeout(milliseconds)
            expect(page.get_by_text(_UNFINISHED)).to_have_count(0, timeout=_MOST_MILLISECONDS)
            page.wait_for_timeout(milliseconds)
            found.append(folder / f"{name}-{theme}.png")
            page.screenshot(path=found[-1])
        context.close()
    return found


@contextmanager
def _served() -> Iterator[str]:
    """The link of a server that runs meanwhile."""
    command = [sys.executable, "-m", "mitorch_service.cli.main", "viewer", "--read-only"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        link = re.search(r"http://\S+", line)
        if link is None:
            raise RuntimeError(f"miviewer did not start: {line!r}")
        yield link[0]
    finally:
        process.terminate()
        process.wait(timeout=20)


def main() -> None:
    chromium = subprocess.run([_ROOT / "scripts/browser", "chromium"], capture_output=True, text=True, check=True)
    store = open_store(read_settings())
    pages = addresses(store)
    store.close()
    with _served() as link, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.stdout.strip(), args=["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        )
        for path in take(browser, link, pages, Path(sys.argv[1])):
            print(path)
        browser.close()


if __name__ == "__main__":
    main()
