"""The viewer's pages show the same of either store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.live.queue import queue_watch_of
from tests.browser.addresses import PAGES
from tests.demo_service import fill
from tests.fakes import FakeBackend
from tests.served import ADDRESS, BEARER, NOW, TOKEN

ROWS = re.compile(r'<tr data-id="([^"]+)"')


@dataclass
class Filled:
    """A viewer of a filled store, and the id of the store's search."""

    store: Store
    job: str
    context: Context
    client: TestClient


@pytest.fixture
def filled(store: Store, tmp_path: Path) -> Filled:
    job = fill(store, NOW, 27, 8)
    settings = read_settings({"MITORCH_HOME": str(tmp_path), "HOME": str(tmp_path)})
    artifacts, backends = FolderArtifactStore(tmp_path), {"gpu-west": FakeBackend("gpu-west")}
    context = Context(settings, lambda: store, lambda: artifacts, lambda: backends, given_clock=lambda: NOW)
    return Filled(store, job, context, TestClient(create_app(context, Policy(TOKEN)), base_url=ADDRESS, headers=BEARER))


@pytest.mark.parametrize("database", ["mongo"], indirect=True)  # SQLite: tests/browser/test_every_page.py
def test_every_page_opens(filled: Filled) -> None:
    for name, path in PAGES.items():
        page = filled.client.get(path(filled))
        assert page.status_code == 200, name
        shown = re.sub(r"<noscript>.*?</noscript>", "", page.text, flags=re.DOTALL)
        assert shown.count("<h1") == 1, name
        assert not re.search(r'class="[^"]*\b(warn|problem)\b', shown), name


def test_queue_tables_groups_views_and_exports(filled: Filled) -> None:
    store, context, client = filled.store, filled.context, filled.client
    queue_watch_of(context).plan(10.0)
    queue = client.get("/").text
    head = [row.id for row in store.queue.queue_head(50).items]
    assert ROWS.findall(queue.partition('data-rows="waiting"')[2])[: len(head)] == head
    assert re.search(r'class="why"[^>]*>(The next pass starts it on gpu-west|gpu-west: )', queue)

    first = client.get("/trainings?limit=20&sort=val_loss").text
    (address,) = re.findall(r'href="([^"]+)" rel="next"', first)
    ids = [*ROWS.findall(first), *ROWS.findall(client.get(unescape(address)).text)]
    assert len(ids) == len(set(ids)) == 35
    assert len(ROWS.findall(client.get("/trainings?q=status:failed&sort=-ended").text)) == 2
    assert "resnet18" in client.get("/trainings?group=config.model.name&value=best.val_loss").text
    assert client.get("/api/trainings/export?format=csv").text.count("\n") == 36
    assert client.put("/api/views", json={"name": "a/b", "where": "status:failed"}).status_code == 200
    assert "?q=status%3Afailed" in client.get("/trainings").text
    assert client.delete("/api/views?name=a/b").status_code == 200
    assert client.get("/api/suggest?where=by:a").json()["suggestions"][0]["text"] == "ada"
