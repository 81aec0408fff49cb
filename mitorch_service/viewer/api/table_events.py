"""The changes of a table of trainings, as they happen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import Query, Request
from starlette.responses import StreamingResponse

from mitorch_service.errors import InvalidInput, MiTorchError, Problem
from mitorch_service.insights.tables.opening import Table, TableRequest, open_table
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.viewer.api.parameters import Text
from mitorch_service.viewer.api.responses import plain
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.live.constant_html import constant
from mitorch_service.viewer.live.events import EVENT_HEADERS, LOOK_SECONDS, SILENT_LOOKS, event, shared_reads
from mitorch_service.viewer.live.table import (
    MOST_ROWS,
    Documents,
    Place,
    arrivals,
    newest_place,
    place_of,
    table_watch_of,
    version_of,
    without_of,
)

router = api_router("tables")


@router.get("/events/table", summary="What happens to a table", response_class=StreamingResponse)
async def follow_table(
    request: Request,
    context: Given,
    ids: Annotated[Text, Query(max_length=40 * MOST_ROWS, description="Whole ids of its rows, with commas.")] = "",
    where: Annotated[Text, Query(max_length=4000, description="Its filter, for trainings that come.")] = "",
    columns: Annotated[Text | None, Query(max_length=8000, description="Names with commas between.")] = None,
    place: Annotated[Text, Query(max_length=60, description="`arrival,id` of the newest training it knows.")] = "",
    version: Annotated[str, Query(max_length=40, description="Of what the page shows already.")] = "",
) -> StreamingResponse:
    """A stream of server-sent events: `rows` with the HTML of those that changed, and the ids of those that are gone;
    `new` with the number of trainings that pass the filter and came since; `problem` where the database does not
    answer. Columns of whole curves are read again with each epoch."""
    wanted = list(dict.fromkeys(part for part in ids.split(",") if part))
    if len(wanted) > MOST_ROWS:
        raise InvalidInput("ids", [Problem("", f"names {len(wanted)} rows: {MOST_ROWS} at most")])
    table, start = await to_thread.run_sync(lambda: _open(context, TableRequest(where, None, columns), place))
    follower = _Follower(request, context, table, wanted, start, version)
    return StreamingResponse(follower.events(), media_type="text/event-stream", headers=EVENT_HEADERS)


def _open(context: Context, request: TableRequest, place: str) -> tuple[Table, Place]:
    with context.reading() as store:
        table = open_table(store, request, context.clock())
        arrival, _, id = place.partition(",")
        known = arrival.isascii() and arrival.isdigit() and len(arrival) < 19
        return table, (int(arrival), id) if known else newest_place(store)


class _Follower:
    """Looks once a second at the rows that a page shows, with all others who do."""

    def __init__(
        self, request: Request, context: Context, table: Table, ids: Sequence[str], place: Place, version: str
    ) -> None:
        self._request = request
        self._context = context
        self._table = table
        self._ids = ids
        self._place = place
        self._version = version  # of the page; after that the rows themselves are known
        self._shown: dict[str, str] | None = None
        self._new = 0
        self._reads = shared_reads(request)
        self._watch = table_watch_of(context)
        self._without = without_of(table)

    async def events(self) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        silent = 0
        with self._watch.watching(self._ids, self._without):
            while not await self._request.is_disconnected():
                told = False
                try:
                    for text in [*await self._changed(), *await self._arrived()]:
                        told = True
                        yield text
                except MiTorchError as error:
                    told = True
                    yield event("problem", json.dumps(plain({"error": str(error)})))
                    await anyio.sleep(5 * LOOK_SECONDS)
                silent = 0 if told else silent + 1
                if silent and silent % SILENT_LOOKS == 0:
                    yield ": still here\n\n"
                await anyio.sleep(LOOK_SECONDS)

    async def _changed(self) -> list[str]:
        """The event for the rows that changed, if some have."""
        documents = await self._reads.read(("table documents", self._without), self._read)
        if not documents.asked.issuperset(self._ids):
            return []  # it was read before this page came
        key = ("table rows", tuple(self._ids), tuple(column.name for column in self._table.columns))
        rows = await self._reads.read(key, lambda: self._render(documents))
        shown, self._shown = self._shown, rows
        if shown is None:
            shown = rows if version_of(rows) == self._version else {}
        changed = {id: html for id, html in rows.items() if constant(html) != constant(shown.get(id, ""))}
        gone = [id for id in self._ids if id in shown and id not in documents.found]
        return [event("rows", json.dumps({"rows": changed, "gone": gone}))] if changed or gone else []

    async def _arrived(self) -> list[str]:
        """The event for trainings that came, if some pass the filter."""
        place = self._place
        found = await self._reads.read(("table arrivals", place), lambda: self._read_arrivals(place))
        if not found:
            return []
        self._place = place_of(found[-1])
        tests = [one.accepts for one in self._table.plan.conditions]
        came = sum(all(test(document) for test in tests) for document in found)
        self._new += came
        return [event("new", json.dumps({"trainings": self._new}))] if came else []

    def _read(self) -> Documents:
        with self._context.reading() as store:
            return self._watch.read(store, self._without)

    def _render(self, documents: Documents) -> dict[str, str]:
        with self._context.reading() as store:  # of this thread: a column may read curves
            table = replace(self._table, store=store)
            return self._watch.render(table, self._ids, documents, self._context.clock())

    def _read_arrivals(self, place: Place) -> list[StoredDocument]:
        with self._context.reading() as store:
            return arrivals(store, place)
