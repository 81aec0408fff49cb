"""The orders of a table: the key of each row, which is also where the next page begins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.where.document_values import number_of, time_of
from mitorch_service.insights.where.fields import Field, Kind
from mitorch_service.insights.where.resolution import Known, nothing_known, resolve_field
from mitorch_service.stores.document_paths import value_at
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.stores.verbs.tables import ORDER_PATHS, IndexOrder

Rank = tuple[object, ...]  # (1, kind, value); (0,) and (2,) of rows without a value, which are last in either direction
Key = tuple[Rank, int, str]  # rank of the value, arrival, id

NEWEST = "-arrival"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALIASES = {"newest": NEWEST, "oldest": "arrival", "queue": "priority"}
_INDEXED: Mapping[str, IndexOrder] = {
    "arrival": IndexOrder.ARRIVAL,
    "priority": IndexOrder.PRIORITY,
    "name": IndexOrder.NAME,
    "value": IndexOrder.VALUE,
    "created": IndexOrder.CREATED,
    "ended": IndexOrder.ENDED,
}
_TIMES = (IndexOrder.CREATED, IndexOrder.ENDED)
_TYPES: Mapping[IndexOrder, tuple[type, ...]] = {
    IndexOrder.PRIORITY: (int,),
    IndexOrder.NAME: (str,),
    IndexOrder.VALUE: (int, float),
    IndexOrder.CREATED: (datetime,),
    IndexOrder.ENDED: (datetime,),
}
_ARRIVAL = Field("arrival", Kind.NUMBER, lambda document, now: number_of(document.get("arrival")))


@dataclass(frozen=True)
class Sort:
    """An order of trainings by one field, then by arrival and id."""

    field: Field
    descending: bool

    @property
    def text(self) -> str:
        """The order as people write it."""
        return f"{'-' * self.descending}{self.field.name}"

    @property
    def index(self) -> IndexOrder | None:
        """The order of the index that holds trainings so, if there is one."""
        return _INDEXED.get(self.field.name)

    @property
    def last(self) -> Rank:
        """The rank of rows without a value."""
        return (0,) if self.descending else (2,)

    def key(self, document: StoredDocument, now: datetime) -> Key | None:
        """The key of a row; None if the document has no readable arrival or id."""
        arrival, id = document.get("arrival"), document.get("_id")
        if not isinstance(arrival, int) or isinstance(arrival, bool) or not isinstance(id, str):
            return None
        tie = 0 if self.index is not None and "arrival" not in ORDER_PATHS[self.index] else arrival
        return self._rank(self.field.read(document, now)), tie, id

    def place(self, key: Key) -> tuple[object, ...]:
        """The key as the values of the index's fields."""
        assert self.index is not None
        return place_in(self.index, key)

    def _rank(self, value: object) -> Rank:
        if isinstance(value, bool):
            return 1, 0, int(value)
        if isinstance(value, int | float):
            return self.last if math.isnan(value) else (1, 0, value)
        if isinstance(value, datetime):
            return 1, 1, round((value - _EPOCH) / timedelta(milliseconds=1))
        if isinstance(value, str):
            return 1, 2, value
        if isinstance(value, list):
            return (1, 2, ", ".join(map(str, value))) if value else self.last
        return self.last if value is None else (1, 3, str(value))


def place_in(order: IndexOrder, key: Key) -> tuple[object, ...]:
    """The values of the fields of an index's order at a key."""
    rank, arrival, id = key
    values: dict[str, object] = {"arrival": arrival, "_id": id}
    first = rank[-1]
    if order in _TIMES and isinstance(first, int):
        first = _EPOCH + timedelta(milliseconds=first)
    return tuple(values.get(path, first) for path in ORDER_PATHS[order])


NEWEST_FIRST = Sort(_ARRIVAL, descending=True)


def parse_sort(text: str | None, known: Known = nothing_known) -> Sort:
    """Parses ``FIELD`` or ``-FIELD`` (descending), newest first without a text. Raises InvalidInput."""
    text = _ALIASES.get(text or NEWEST, text or NEWEST)
    name = text.removeprefix("-")
    if name == "arrival":
        return Sort(_ARRIVAL, text.startswith("-"))
    try:
        return Sort(resolve_field(name, known), text.startswith("-"))
    except ValueError as error:
        raise InvalidInput("sort", [Problem(text, f"{error}; newest, oldest and queue are orders, too")]) from error


def raw_place(order: IndexOrder, document: StoredDocument) -> tuple[object, ...] | None:
    """The values of an order's fields in a document; None if one of them, or its arrival, is of a wrong type."""
    arrival, id = document.get("arrival"), document.get("_id")
    if not isinstance(arrival, int) or not isinstance(id, str):  # BSON has integers of its own
        return None
    first, *rest = ORDER_PATHS[order]
    if first in ("arrival", "_id"):
        return (arrival, id) if rest else (id,)
    value = value_at(document, first)
    if order in _TIMES:
        value = time_of(value)
    if not isinstance(value, _TYPES[order]):
        return None
    return (value, arrival, id) if len(rest) == 2 else (value, id)
