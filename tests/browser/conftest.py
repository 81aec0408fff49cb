"""One browser for all tests of a worker, and a viewer that serves a filled service."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, ViewportSize, expect, sync_playwright

from mitorch_service.insights.search.search_findings import Share
from mitorch_service.insights.search.search_insight import SearchInsight
from mitorch_service.insights.search.search_view import Importance, SearchView
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.access.token import sign
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.live.search_views import SearchViews
from mitorch_service.viewer.serve import Listening, listen
from mitorch_service.wiring import open_artifacts, open_backends, open_store
from tests.demo_service import fill

TOKEN = "a-token-for-tests-only"
_ROOT = Path(__file__).parents[2]
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_SECONDS = 20.0
# A page that loads itself again some time after an order would do so amid the next test.
_STOP_TIMERS = "() => { for (let last = setTimeout(() => {}); last; last -= 1) clearTimeout(last); }"
SIZE: ViewportSize = {"width": 1280, "height": 800}


def _installed(part: str) -> str:
    """The path of a part that scripts/browser finds or installs; without it the test is skipped here, and fails in
    CI."""
    found = subprocess.run([_ROOT / "scripts" / "browser", part], capture_output=True, text=True, check=False)
    if found.returncode:
        if os.environ.get("CI"):
            raise RuntimeError(found.stderr)
        pytest.skip(found.stderr.strip())
    return found.stdout.strip()


@pytest.fixture(scope="package")
def axe_source() -> str:
    """The source of axe-core."""
    return Path(_installed("axe")).read_text("utf-8")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    path = _installed("chromium")
    expect.set_options(timeout=_SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Viewer:
    """A viewer that serves, the store behind it, and the id of its search."""

    url: str
    store: Store
    job: str

    @property
    def link(self) -> str:
        return f"{self.url}/?token={TOKEN}"


@pytest.fixture(scope="package")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """A viewer on SQLite with a filled service, for all tests that change nothing which others look at."""
    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("viewer")
        environment.setenv("MITORCH_HOME", str(home))
        yield from serve_filled(partial(fill, now=datetime.now(UTC)))


def serve_filled(fill_store: Callable[[Store], str]) -> Iterator[Viewer]:
    """Serves the store that the environment names, filled, until the generator goes on."""
    settings = read_settings()
    store = open_store(settings, create=True)
    job = fill_store(store)
    opened = (
        partial(open_store, settings, create=True),
        partial(open_artifacts, settings),
        partial(open_backends, settings),
    )
    context = Context(settings, *opened, file=settings.sqlite_path)
    listening = listen("127.0.0.1", None, 8700)
    server = _start(context, listening)
    yield Viewer(listening.url, store, job)
    server.should_exit = True
    store.close()


def _even(insight: SearchInsight, view: SearchView) -> Importance:
    """In place of the forests, which take seconds: all parameters matter as much."""
    share = 1 / len(view.columns)
    shares = {column.name: Share(share, share / 2, min(1.0, 2 * share)) for column in view.columns}
    return Importance({name: shares for name in view.job.search.objectives()}, 10, view.results)


def _start(context: Context, listening: Listening) -> uvicorn.Server:
    app = create_app(context, Policy(TOKEN))
    app.state.search_views = SearchViews(_even)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, args=([listening.socket],), daemon=True).start()
    end = time.monotonic() + _SECONDS
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    return server


@pytest.fixture(scope="package")
def tab(browser: Browser) -> Iterator[Page]:
    """One page for all tests: a new one takes a process of its own, half a second of processor time each."""
    yield from new_tab(browser)


def new_tab(browser: Browser, script: str = "") -> Iterator[Page]:
    """A page which runs this script before those of a document."""
    context = browser.new_context(viewport=SIZE, reduced_motion="reduce")
    context.set_default_timeout(_SECONDS * 1000)
    context.add_init_script(script)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab: Page, viewer: Viewer) -> Iterator[Page]:
    """A signed-in page of the viewer that all share."""
    yield from signed_in(tab, viewer)


def signed_in(page: Page, viewer: Viewer) -> Iterator[Page]:
    """The page as a new one would be, signed in; an error or a refused script in its console fails the test."""
    context = page.context
    context.clear_cookies()
    cookie = f"mitorch_viewer_{viewer.url.rpartition(':')[2]}"
    context.add_cookies([{"name": cookie, "value": sign(TOKEN, "session", ""), "url": viewer.url}])
    page.set_viewport_size(SIZE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    problems: list[str] = []

    def keep_error(error: Error) -> None:
        problems.append(str(error))

    def keep_message(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(f"{message.text} ({message.location.get('url')}, on {page.url})")

    page.on("pageerror", keep_error)
    page.on("console", keep_message)
    yield page
    for other in page.context.pages[1:]:
        other.close()
    with suppress(Error):  # it is being loaded again already
        page.evaluate(_STOP_TIMERS)
    with suppress(Error):  # its streams end with it, and not with their server, within the next test
        page.goto("about:blank")
    page.remove_listener("pageerror", keep_error)
    page.remove_listener("console", keep_message)
    assert problems == []
