"""One browser for all tests of a worker, and a viewer that serves a filled service."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

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
_SECONDS = 10.0


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
    opened = (partial(open_store, settings), partial(open_artifacts, settings), partial(open_backends, settings))
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


@pytest.fixture
def page(browser: Browser, viewer: Viewer) -> Iterator[Page]:
    """A signed-in page of the viewer that all share."""
    yield from opened_page(browser, viewer)


def opened_page(browser: Browser, viewer: Viewer) -> Iterator[Page]:
    """A signed-in page of 1280 x 800 pixels; an error or a refused script in its console fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(_SECONDS * 1000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    cookie = f"mitorch_viewer_{viewer.url.rpartition(':')[2]}"
    context.add_cookies([{"name": cookie, "value": sign(TOKEN, "session", ""), "url": viewer.url}])
    yield page
    context.close()
    assert problems == []
