"""The table of trainings is live: rows change where they are, new ones are counted, all who watch share one read."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mitorch_service.stores.requests import Guarded, StoredDocument
from mitorch_service.stores.verbs.runs import RunVerbs
from mitorch_service.stores.verbs.tables import TableVerbs
from mitorch_service.viewer.api import table_events
from tests.fakes import primitives
from tests.samples import a_result, a_training
from tests.served import Served


class Page:
    """A page of the table that somebody looks at."""

    def __init__(self, service: Served, address: str) -> None:
        html = service.client().get(address).text
        self.ids = re.findall(r'<tr data-id="([^"]+)"', html)
        ((live, place, version),) = re.findall(r'data-live="([^"]+)" data-place="([^"]+)" data-version="([^"]+)"', html)
        query = parse_qs(urlsplit(unescape(live)).query)
        self.where, self.columns = query.get("where", [""])[0], query["columns"][0]
        self.place, self.version = place, version


class Request:
    """A request whose client stays for so many looks."""

    def __init__(self, service: Served, looks: int, between: Callable[[int], None]) -> None:
        self.app = service.app
        self._looks = looks
        self._between = between
        self._done = 0

    async def is_disconnected(self) -> bool:
        self._between(self._done)
        self._done += 1
        return self._done > self._looks


def watch(
    service: Served, pages: list[Page], looks: int = 2, between: Callable[[int], None] = lambda look: None
) -> Any:
    """Returns the events of each page, as (name, data)."""

    async def one(page: Page, request: Request) -> list[tuple[str, Any]]:
        answer = await table_events.follow_table(
            request,  # type: ignore[arg-type]
            service.app.state.context,
            ",".join(page.ids),
            page.where,
            page.columns,
            page.place,
            page.version,
        )
        found = []
        async for text in answer.body_iterator:
            fields = dict(line.split(": ", 1) for line in str(text).splitlines() if ": " in line)
            if "event" in fields:
                found.append((fields["event"], json.loads(fields["data"])))
        return found

    async def everyone() -> list[list[tuple[str, Any]]]:
        requests = [
            Request(service, looks, between if number == 0 else lambda look: None) for number in range(len(pages))
        ]
        return await asyncio.gather(*(one(page, request) for page, request in zip(pages, requests, strict=True)))

    if hasattr(service.app.state, "shared_reads"):  # of another loop
        del service.app.state.shared_reads
    with ThreadPoolExecutor() as threads:  # a browser's tests leave a loop running in this one
        return threads.submit(asyncio.run, everyone()).result()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_events, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr("mitorch_service.viewer.live.shared_reads.SharedReads.__init__.__defaults__", (0.005,))


def test_rows_change_where_they_are_and_new_ones_are_counted(service: Served) -> None:
    running, gone = service.training("running"), service.training("canceled")

    def between(look: int) -> None:
        if look == 1:
            progress = {"epoch": 18, "max_epochs": 30, "metrics": {}, "at": a_result(18).to_document()["finished_at"]}
            primitives(service.store).change(Guarded("trainings", running, {}, {"progress": progress, "name": "<b>"}))
            primitives(service.store).remove("trainings", gone, {})
            service.store.queue.add_trainings([a_training(arrival=10**17 + number) for number in range(3)])

    ((first, second),) = watch(service, [Page(service, "/trainings?limit=100")], 2, between)
    assert first[0] == "rows" and list(first[1]["rows"]) == [running] and first[1]["gone"] == [gone]
    assert ">18/30<" in first[1]["rows"][running] and "<bdi>&lt;b&gt;</bdi>" in first[1]["rows"][running]
    assert second == ("new", {"trainings": 3})


def test_only_new_ones_that_pass_the_filter_are_announced(service: Served) -> None:
    def between(look: int) -> None:
        if look == 1:
            service.store.queue.add_trainings(
                [a_training(arrival=10**17 + number, tags=["a=b"] if number else []) for number in range(3)]
            )

    ((event,),) = watch(service, [Page(service, "/trainings?q=tag:team,a%3Db")], 2, between)
    assert event == ("new", {"trainings": 2})


def test_a_page_that_shows_it_all_is_told_nothing(seen: Served) -> None:
    page = Page(seen, "/trainings")
    assert watch(seen, [page]) == [[]]
    page.version = "of another time"
    (((name, data),),) = watch(seen, [page])
    assert name == "rows" and sorted(data["rows"]) == sorted(page.ids)


def test_fifty_who_watch_share_one_read(seen: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitorch_service.viewer.live.shared_reads.SharedReads.__init__.__defaults__", (60.0,))
    reads: list[int] = []
    original = TableVerbs.documents

    def counted(verbs: TableVerbs, ids: Sequence[str], without: tuple[str, ...] = ()) -> dict[str, StoredDocument]:
        reads.append(len(ids))
        return original(verbs, ids, without)

    monkeypatch.setattr(TableVerbs, "documents", counted)
    views = ("", "?q=status:completed", "?sort=name", "?columns=status,since")
    pages = 12 * [Page(seen, f"/trainings{view}") for view in views] + 2 * [Page(seen, "/trainings?limit=5")]
    reads.clear()
    watch(seen, pages, looks=3)
    assert len(reads) == 1 and reads[0] >= len(pages[0].ids)


def test_values_of_curves_are_read_again_with_each_epoch_only(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(service, "/trainings?q=status:running&columns=best.val_loss")
    read: list[str] = []
    original = RunVerbs.curve_records

    def counted(verbs: RunVerbs, training_id: str, after: int = 0) -> Iterator[StoredDocument]:
        read.append(training_id)
        return original(verbs, training_id, after)

    monkeypatch.setattr(RunVerbs, "curve_records", counted)
    assert watch(service, [page], looks=4) == [[]]
    assert sorted(read) == sorted(page.ids) != []
