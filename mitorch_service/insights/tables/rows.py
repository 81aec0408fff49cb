"""All rows of a table, one after the other, as they are exported."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from math import inf

from mitorch_service.errors import BrokenDocument, InvalidInput, Problem
from mitorch_service.insights.tables.columns import Column
from mitorch_service.insights.tables.opening import TableRequest, open_table
from mitorch_service.insights.tables.scan import Scan
from mitorch_service.insights.tables.sorting import Key
from mitorch_service.insights.tables.table import Row, make_rows
from mitorch_service.insights.tables.walk import Step, Walk
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument

MAX_SORTED = 200_000  # rows whose places are held to sort them where no index does
_BATCH = 500
_PAGE = 1000


class TableRows:
    """The rows of a table; each iteration reads them anew, and holds a batch of documents."""

    def __init__(self, store: Store, request: TableRequest, now: datetime, limit: int | None = None) -> None:
        """`limit`: rows at most; the request's own limit, token and time do not matter. Raises InvalidFilter,
        InvalidInput; NotFound, AmbiguousId for a job."""
        self.unreadable: list[BrokenDocument] = []  # of the last iteration, the first hundred
        self._table = open_table(store, request, now, whole=True)
        self._limit = limit

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of the rows."""
        return self._table.columns

    def __iter__(self) -> Iterator[Row]:
        """Yields the rows. Raises InvalidInput if there are too many to sort."""
        scan = Scan(self._table, inf)
        documents = islice(self._documents(scan), self._limit)
        while batch := list(islice(documents, _BATCH)):
            rows, broken = make_rows(self._table, batch)
            scan.broken |= {one.key: one for one in broken}
            yield from rows
        self.unreadable = list(scan.broken.values())

    def _documents(self, scan: Scan) -> Iterator[StoredDocument]:
        table = self._table
        walk = Walk(table.store, table.now, table.plan.without, _PAGE)
        if table.plan.selection and table.plan.segments is not None:
            steps = walk.in_order(table.plan.segments, table.sort)
            yield from (step.document for step in scan.accepted(steps))
        elif table.plan.selection:
            yield from self._sorted(scan.accepted(walk.in_any_order(table.plan.selection)))
        for document in walk.unplaced:
            scan.set_aside(document)

    def _sorted(self, steps: Iterator[Step]) -> Iterator[StoredDocument]:
        """Sorts the places, and reads the documents again."""
        table = self._table
        keys: list[Key] = []
        for step in steps:
            key = table.sort.key(step.document, table.now)
            if key is None:
                continue
            keys.append(key)
            if len(keys) > MAX_SORTED:
                remedy = "sort by newest, priority, name, created or ended, or filter further"
                problem = f"no index holds this order, and more than {MAX_SORTED:,} rows are not sorted: {remedy}"
                raise InvalidInput("sort", [Problem(table.sort.text, problem)])
        choose = heapq.nlargest if table.sort.descending else heapq.nsmallest
        ids = [id for _, _, id in choose(len(keys) if self._limit is None else self._limit, keys)]
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            found = table.store.tables.documents(some, table.plan.without)
            yield from (found[id] for id in some if id in found)
