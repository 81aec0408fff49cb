"""A page of a table of trainings: filtered, sorted, with chosen columns, within a time limit."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.errors import BrokenDocument, InvalidInput, Problem
from mitorch_service.insights.tables.columns import Column
from mitorch_service.insights.tables.curves import add_curves
from mitorch_service.insights.tables.hits import find_hits
from mitorch_service.insights.tables.opening import Clock, Table, TableRequest, open_table
from mitorch_service.insights.tables.scan import Scan
from mitorch_service.insights.tables.sorting import Key
from mitorch_service.insights.tables.tokens import Position, read_token, write_token
from mitorch_service.insights.tables.walk import Step, Walk
from mitorch_service.insights.where.fields import BULK
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument

MAX_ROWS = 1000  # of a page
_SORTED_SHARE = 0.4  # of the time, to sort a selection before the order's index is tried
_LEAST_READ = 200  # documents at once, where a filter lets perhaps few pass


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    id: str
    status: TrainingStatus
    cells: Sequence[object]  # by column


@dataclass(frozen=True)
class TablePage:
    """A page of a table. If it is incomplete `next` goes on where it ended."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    sort: str
    complete: bool  # False: the time limit ended it before it was full, or before all rows were sorted
    scanned: int  # trainings that were looked at
    next: str | None = None  # the token of the page behind
    previous: str | None = None
    unreadable: Sequence[BrokenDocument] = ()
    # Of an incomplete first page: further rows that an index finds by a bare word of the filter, as id, name or tag.
    # They come again on their own page.
    hits: Sequence[Row] = ()


def read_table(store: Store, request: TableRequest, now: datetime, clock: Clock = time.monotonic) -> TablePage:
    """Reads a page. By an index's order a page is a walk from its token; by another field the selection is looked at
    as far as the time limit allows, and the first of it are taken. Raises InvalidFilter, InvalidInput; NotFound,
    AmbiguousId for a job."""
    if not 1 <= request.limit <= MAX_ROWS:
        raise InvalidInput("limit", [Problem(str(request.limit), f"must be from 1 to {MAX_ROWS}")])
    table = open_table(store, request, now, clock)
    position = None if request.after is None else read_token(request.after, table.where, table.sort)
    return _Pages(table, request.limit, position).read(request.seconds)


class _Pages:
    """The page of a table at a position, read in one of two ways."""

    def __init__(self, table: Table, limit: int, position: Position | None) -> None:
        self._table = table
        self._limit = limit
        self._position = position
        self._backward = position is not None and position.backward
        self._bound = None if position is None else position.bound

    def read(self, seconds: float) -> TablePage:
        plan, begin = self._table.plan, self._table.clock()
        if not plan.selection:  # the filter contradicts itself
            return self._page(Scan(self._table, 0), (), None, None)
        if plan.segments is None or self._bound is not None:
            return self._sorted(begin + seconds)
        if plan.sorts_first:
            page = self._sorted(begin + seconds * _SORTED_SHARE)
            if page.complete:
                return page
        return self._walked(begin + seconds)

    def _walked(self, deadline: float) -> TablePage:
        table, scan = self._table, Scan(self._table, deadline)
        walk = self._walk(self._limit + 1)
        after = None if self._position is None else self._position.key
        steps = walk.in_order(table.plan.segments or (), table.sort, after, self._backward)
        found: list[Step] = []
        for step in scan.accepted(steps):
            found.append(step)
            if len(found) > self._limit:
                break
        for document in walk.unplaced:
            scan.set_aside(document)
        chosen = found[: self._limit]
        end = chosen[-1].key if len(found) > self._limit else scan.last if scan.out_of_time else None
        full = len(chosen) == self._limit
        return self._page(scan, chosen, end, None, complete=full or not scan.out_of_time)

    def _sorted(self, deadline: float) -> TablePage:
        """The first rows behind the position, of all that could be looked at in time."""
        table, scan = self._table, Scan(self._table, deadline, self._bound)
        ascending = table.sort.descending == self._backward
        walk = self._walk(MAX_ROWS)
        rows = self._behind(scan.accepted(walk.in_any_order(table.plan.selection)), ascending)
        choose = heapq.nsmallest if ascending else heapq.nlargest
        found = choose(self._limit + 1, rows, key=lambda step: step.key)
        for document in walk.unplaced:
            scan.set_aside(document)
        chosen = found[: self._limit]
        end = chosen[-1].key if len(found) > self._limit else None
        bound = scan.last if scan.out_of_time else self._bound
        return self._page(scan, chosen, end, bound, complete=bound is None)

    def _walk(self, first_page: int) -> Walk:
        least = _LEAST_READ if self._table.plan.conditions else 0
        return Walk(self._table.store, self._table.now, self._table.plan.without, max(first_page, least))

    def _behind(self, steps: Iterable[Step], ascending: bool) -> Iterator[Step]:
        """The rows behind the position, with their places in the table."""
        after = None if self._position is None else self._position.key
        for step in steps:
            key = self._table.sort.key(step.document, self._table.now)
            if key is not None and (after is None or (key > after if ascending else key < after)):
                yield Step(key, step.document, True)

    def _page(
        self,
        scan: Scan,
        chosen: Sequence[Step],
        end: Key | None,
        bound: Key | None,
        complete: bool = True,
    ) -> TablePage:
        """The page in the order of the table, even if it was read backward, with the tokens of both directions."""
        table, position = self._table, self._position
        steps = list(reversed(chosen)) if self._backward else list(chosen)
        rows, broken = make_rows(table, [step.document for step in steps])
        beyond = None if end is None else self._token(Position(end, self._backward, bound))
        came = None
        if position is not None:
            came = self._token(Position(chosen[0].key if chosen else position.key, not self._backward, bound))
        hits = [] if complete or position is not None else self._hits({row.id for row in rows})
        return TablePage(
            columns=table.columns,
            rows=rows,
            sort=table.sort.text,
            complete=complete,
            scanned=scan.scanned,
            next=came if self._backward else beyond,
            previous=beyond if self._backward else came,
            unreadable=[*scan.broken.values(), *broken],
            hits=hits,
        )

    def _hits(self, known: set[str]) -> list[Row]:
        table = self._table
        found = find_hits(table.store, table.where, table.plan.without)
        fields = [one for one in table.looked_at if one.curve is not None]
        for document in found.values():
            add_curves(table.store, document, fields)
        fitting = [
            document
            for id, document in found.items()
            if id not in known and all(one.accepts(document) for one in table.plan.conditions)
        ]
        return make_rows(table, fitting)[0]

    def _token(self, position: Position) -> str:
        return write_token(position, self._table.where, self._table.sort)


def make_rows(table: Table, documents: Sequence[StoredDocument]) -> tuple[list[Row], list[BrokenDocument]]:
    """The rows of documents that passed the filter, and those that cannot be read."""
    rows, broken = [], []
    for document in _whole(table, documents):
        try:
            row = TrainingRow.from_document(document)
        except BrokenDocument as error:
            broken.append(error)
            continue
        rows.append(Row(row.id, row.status, [column.cell(document, table.now) for column in table.columns]))
    return rows, broken


def _whole(table: Table, documents: Sequence[StoredDocument]) -> list[StoredDocument]:
    """The documents with all that the columns need: what filter and order did not need is read now."""
    fields = [column.field for column in table.columns]
    needs = {name for field in fields for name in field.needs}
    missing = needs - table.plan.needs
    found: dict[str, StoredDocument] = {}
    if missing:
        without = tuple(name for name in BULK if name not in needs)
        found = table.store.tables.documents([document["_id"] for document in documents], without)
    whole = []
    for document in documents:
        again = found.get(document["_id"], {})
        whole.append({**document, **{name: again[name] for name in missing if name in again}})
        add_curves(table.store, whole[-1], fields)
    return whole
