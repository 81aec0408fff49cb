"""The queue's page: what it says without a script, and what its stream sends."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.stores.requests import Guarded
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.live.queue import queue_watch_of
from tests.fakes import primitives
from tests.samples import a_training
from tests.served import NOW, Served, served

HOSTILE = "<script>alert(1)</script>"


def _rows(page: str, key: str) -> list[str]:
    """The ids of the rows of a table."""
    (body,) = re.findall(rf'<tbody data-rows="{key}">(.*?)</tbody>', page, re.DOTALL)
    return re.findall(r'<tr data-id="([^"]+)"', body)


def _context(service: Served) -> Context:
    context: Context = service.app.state.context
    return context


def test_the_queue_stands_in_its_order_with_reasons_and_links(seen: Served) -> None:
    queue_watch_of(_context(seen)).plan(10.0)
    page = seen.client().get("/").text
    assert _rows(page, "waiting") == [row.id for row in seen.store.queue.queue_head(50).items]
    assert len(_rows(page, "running")) == len(seen.store.queue.active_trainings().items)
    assert _rows(page, "jobs") == [seen.job]
    assert len(_rows(page, "ended")) == 15
    assert re.search(r'class="why"[^>]*>(The next pass starts it on gpu-|gpu-west: |No free node on gpu-)', page)
    assert 'href="/trainings?q=status%3Afailed"' in page
    assert re.search(r"<title>\d running, \d waiting", page)
    assert "train/0412.jpg cannot be read" in page  # why what failed lately failed
    assert "No controller is at work" not in page


def test_a_missing_controller_is_told_loudly(service: Served) -> None:
    service.clock[0] = NOW + timedelta(hours=1)
    page = service.client().get("/").text
    assert "<title>No controller · " in page
    assert page.index("No controller is at work") < page.index("Clusters")
    assert "no controller has made a pass for 60 min" in page
    service.store.controllers.record_pass(Heartbeat(at=service.clock[0], machine="m", process=1))
    assert "No controller is at work" not in service.client().get("/").text


def test_an_empty_service_names_the_next_command(tmp_path: Path) -> None:
    with served(tmp_path, trainings=0, trials=3) as empty:
        (empty.settings.home / "mitorch.db").unlink()
        page = empty.client().get("/").text
    assert "Nothing is queued" in page and "misubmit CONFIG.json" in page


def test_clusters_are_asked_outside_the_request_and_their_refusals_are_shown(service: Served) -> None:
    for backend in service.backends.values():
        backend.down = True  # type: ignore[attr-defined]
    page = service.client().get("/").text
    assert "being asked" in page or "does not answer" in page
    assert "gpu-west" in page


def test_who_may_change_nothing_sees_no_buttons(tmp_path: Path) -> None:
    with served(tmp_path, read_only=True) as service:
        page = service.client().get("/").text
    assert "data-row-action" not in page and 'class="quiet handle"' not in page


def test_names_of_people_are_text(service: Served) -> None:
    service.store.queue.add_trainings([a_training(name=f"{HOSTILE} mongodb://u:geheim-1@h/", priority=1)])
    page = service.client().get("/").text
    assert HOSTILE not in page and "geheim-1" not in page
    assert page.count("&lt;script&gt;") > 1


def test_only_what_changed_is_sent(service: Served) -> None:
    watch = queue_watch_of(_context(service))
    watch.plan(10.0)
    watch.view(True)
    before = watch.view(True)
    service.clock[0] += timedelta(seconds=7)  # times that are told relatively are no change
    same = watch.view(True)
    assert same.version == before.version
    assert same.changes(before) == {"title": before.title, "parts": {}, "tables": {}}
    moved = service.store.queue.queue_head(50).items[-1].id
    primitives(service.store).change(Guarded("trainings", moved, {}, {"priority": -1}))
    after = watch.view(True)
    tables = after.changes(same)["tables"]
    assert isinstance(tables, dict) and list(tables) == ["waiting"]
    assert tables["waiting"]["order"][0] == moved
    assert after.version != same.version
    assert after.changes(same)["parts"] == {}


def test_a_stream_begins_with_what_the_page_does_not_show(seen: Served) -> None:
    """The stream has no end: its first event is taken from the generator."""
    from mitorch_service.viewer.api.queue_events import _events

    class Request:
        app = seen.app
        state = type("State", (), {"may_change": False})

        async def is_disconnected(self) -> bool:
            return False

    async def first(shown: str) -> str:
        stream = _events(Request(), _context(seen), shown)  # type: ignore[arg-type]
        await anext(stream)
        return await asyncio.wait_for(anext(stream), 10)

    queue_watch_of(_context(seen)).view(False)
    with ThreadPoolExecutor() as threads:  # a browser's tests leave a loop running in this one
        text = threads.submit(asyncio.run, first("of another time")).result()
    fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
    told = json.loads(fields["data"])
    assert fields["event"] == "queue"
    assert set(told["tables"]) == {"running", "waiting", "jobs", "ended"}
    assert fields["id"] == queue_watch_of(_context(seen)).view(False).version


def test_the_plan_is_of_the_head_only(service: Served) -> None:
    service.store.queue.add_trainings([a_training(priority=500) for _ in range(70)])
    page = service.client().get("/").text
    assert len(_rows(page, "waiting")) == 50
    assert "the first 50 of" in page
    assert isinstance(service.store, SqliteStore)
