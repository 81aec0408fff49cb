"""Reads the documents of a plan in a table's order, page by page, from any place in either direction."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from mitorch_service.insights.tables.plan import Segment
from mitorch_service.insights.tables.sorting import NEWEST_FIRST, Key, Sort, place_in, raw_place
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange

_PAGE = 1000  # documents that are read at once
_GROWTH = 4  # of a page to the next
_KEPT = 100  # documents without a place
_ENDS = ((-(2**63), ""), (2**63 - 1, "\U0010ffff"))  # behind no training, and behind all, in the order of arrival


class Step(NamedTuple):
    """A document that was read."""

    key: Key  # its place in the table
    document: StoredDocument
    belongs: bool  # False: it was only looked at


class Walk:
    """The documents of one plan, read once."""

    def __init__(self, store: Store, now: datetime, without: tuple[str, ...], first_page: int = 100) -> None:
        """`without`: fields not to read; `first_page`: documents to read at first; then more at a time."""
        self.unplaced: list[StoredDocument] = []  # those without a readable place in the order
        self._store = store
        self._now = now
        self._without = without
        self._first_page = max(1, min(first_page, _PAGE))

    def in_order(
        self, segments: Sequence[Segment], sort: Sort, after: Key | None = None, backward: bool = False
    ) -> Iterator[Step]:
        """Yields documents in the order of the table behind a key, or backward from it."""
        ordered = [*reversed(segments)] if backward else [*segments]
        if after is not None and len(ordered) > 1:
            valued = after[0] != sort.last
            ordered = ordered if ordered[0].valued == valued else ordered[1:]
        for segment in ordered:
            yield from self._segment(segment, sort, after, backward)
            after = None

    def in_any_order(self, ranges: Sequence[IndexRange]) -> Iterator[Step]:
        """Yields the documents of the ranges, each once: the newest first, where they are of the order of arrival."""
        if all(one.order == IndexOrder.ARRIVAL for one in ranges):
            yield from self._segment(Segment(tuple(ranges)), NEWEST_FIRST, None, False)
            return
        seen: set[object] = set()
        for one in ranges:
            for document in self._range(one, False, None):
                key = NEWEST_FIRST.key(document, self._now)
                if key is not None and document["_id"] not in seen:
                    seen.add(document["_id"])
                    yield Step(key, document, True)

    def _segment(self, segment: Segment, sort: Sort, after: Key | None, backward: bool) -> Iterator[Step]:
        """Merges the ranges. A training that is in two of them, by two tags, comes once."""
        descending = sort.descending != backward
        streams = [self._steps(one, segment.valued, sort, after, descending) for one in segment.ranges]
        if len(streams) == 1:
            merged: Iterator[Step] = streams[0]
        else:  # none, where the filter contradicts itself
            merged = iter(heapq.merge(*streams, key=lambda step: step.key, reverse=descending))
        before: Key | None = None
        for step in merged:
            if step.key != before:
                yield step
            before = step.key

    def _steps(
        self, range: IndexRange, valued: bool, sort: Sort, after: Key | None, descending: bool
    ) -> Iterator[Step]:
        place = None if after is None else place_in(range.order, after)
        for document in self._range(range, descending, place):
            key = sort.key(document, self._now)
            if key is not None:
                yield Step(key if valued else (sort.last, *key[1:]), document, valued or key[0] == sort.last)

    def _range(self, range: IndexRange, descending: bool, after: Sequence[object] | None) -> Iterator[StoredDocument]:
        limit = self._first_page
        while True:
            page = self._store.tables.rows(range, descending, limit, after, self._without)
            last = None
            for document in page:
                place = raw_place(range.order, document)
                if place is not None:
                    last = place
                    yield document
                elif len(self.unplaced) < _KEPT:
                    self.unplaced.append(document)
            if len(page) < limit:
                return
            if last is None and (after is not None or range.order != IndexOrder.ARRIVAL):
                return  # a page of damaged documents only, behind which nobody knows how to go on
            after = last or _ENDS[descending]
            limit = min(limit * _GROWTH, _PAGE)
