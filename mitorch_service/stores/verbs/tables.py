"""Verbs of tables: trainings as they are stored, in the order of an index, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import ANY_ARRIVAL, Query, StoredDocument

_IDS_AT_ONCE = 400
_FIRST_TIME, _LAST_TIME = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_LAST_TEXT = "\U0010ffff"


class IndexOrder(StrEnum):
    """The orders in which an index holds trainings."""

    ARRIVAL = "arrival"  # of all, or of one status, job, data set, tag or name
    PRIORITY = "priority"  # of one status
    NAME = "name"  # of those that have one
    VALUE = "value"  # of a job's trials that have one
    CREATED = "created"
    ENDED = "ended"  # of those that have
    ID = "id"


ORDER_PATHS: Mapping[IndexOrder, tuple[str, ...]] = {
    IndexOrder.ARRIVAL: ("arrival", "_id"),
    IndexOrder.PRIORITY: ("priority", "arrival", "_id"),
    IndexOrder.NAME: ("name", "arrival", "_id"),
    IndexOrder.VALUE: ("trial.value", "_id"),
    IndexOrder.CREATED: ("created_at", "arrival", "_id"),
    IndexOrder.ENDED: ("ended_at", "arrival", "_id"),
    IndexOrder.ID: ("_id",),
}
_ALL: Mapping[IndexOrder, tuple[object, object]] = {
    IndexOrder.ARRIVAL: ANY_ARRIVAL,
    IndexOrder.PRIORITY: ANY_ARRIVAL,
    IndexOrder.NAME: ("", _LAST_TEXT),
    IndexOrder.VALUE: (float("-inf"), float("inf")),
    IndexOrder.CREATED: (_FIRST_TIME, _LAST_TIME),
    IndexOrder.ENDED: (_FIRST_TIME, _LAST_TIME),
    IndexOrder.ID: ("", _LAST_TEXT),
}

RangePath = Literal["status", "job_id", "dataset.name", "tags", "name"]


@dataclass(frozen=True)
class IndexRange:
    """Trainings that lie side by side in an index."""

    order: IndexOrder = IndexOrder.ARRIVAL
    path: RangePath | None = None  # the field that has one value
    value: str | None = None
    low: object = None  # of the order's first field; None: from its beginning
    high: object = None  # the first value behind them; None: to its end

    def where(self) -> dict[str, object]:
        return {} if self.path is None else {self.path: self.value}


class TableVerbs(Verbs):
    """Reads documents as they are stored: their callers read what is wanted of each, and set damaged ones aside."""

    def rows(
        self,
        range: IndexRange,
        descending: bool,
        limit: int,
        after: Sequence[object] | None = None,
        without: tuple[str, ...] = (),
    ) -> list[StoredDocument]:
        """Returns the next documents of a range behind `after`, the values of the order's fields. The first page in
        the order of arrival holds those without a readable arrival, too, where the engine puts them first."""
        low, high = _ALL[range.order]
        bounds = (low if range.low is None else range.low, high if range.high is None else range.high)
        paths = ORDER_PATHS[range.order]
        bounded = after is not None or range.order != IndexOrder.ARRIVAL or bounds != ANY_ARRIVAL
        query = Query(
            "trainings",
            range.where(),
            between=(paths[0], *bounds) if bounded else None,
            order=tuple((path, -1 if descending else 1) for path in paths),
            after=None if after is None else tuple(after),
            limit=limit,
            without=without,
        )
        return list(self._database.find(query))

    def documents(self, ids: Sequence[str], without: tuple[str, ...] = ()) -> dict[str, StoredDocument]:
        """Returns those of the trainings that exist."""
        found: dict[str, StoredDocument] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = tuple(ids[start : start + _IDS_AT_ONCE])
            query = Query("trainings", {"_id": some}, without=without)
            found |= {document["_id"]: document for document in self._database.find(query)}
        return found

    def count(self, range: IndexRange) -> int:
        """Counts a range by its index, in a time that grows with the answer."""
        return self._database.count(Query("trainings", range.where()))
