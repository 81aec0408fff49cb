"""Decides which index answers a table, and what is left to be looked at row by row. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mitorch_service.insights.tables.sorting import Sort
from mitorch_service.insights.where.conditions import Condition
from mitorch_service.insights.where.fields import BULK, Kind
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.tables import IndexOrder, IndexRange, RangePath

_MOST_RANGES = 20  # that are merged: each is a query of its own
_LEAST_ID = 4  # characters of the beginning of an id, by which few enough trainings are chosen
_FEW = 2000  # trainings of a status, than which other conditions hardly leave fewer
_PATHS: Mapping[str, RangePath] = {"name": "name", "job": "job_id", "tag": "tags", "dataset": "dataset.name"}
_PREFERRED: tuple[RangePath | Literal["_id"], ...] = ("_id", "name", "job_id", "tags", "dataset.name")
_STATUSES = tuple(status.value for status in TrainingStatus)


@dataclass(frozen=True)
class Segment:
    """Ranges of one order, read merged; rows have a value in the field that the table is sorted by, or none has."""

    ranges: tuple[IndexRange, ...]
    valued: bool = True


@dataclass(frozen=True)
class Plan:
    """How the rows of a table are found."""

    selection: tuple[IndexRange, ...]  # in which all rows of the filter are
    segments: tuple[Segment, ...] | None  # in which they lie in the table's order; None: they must be sorted
    conditions: tuple[Condition, ...]  # that each row must fulfil
    needs: frozenset[str]  # top-level fields to read, of those that are big

    sorts_first: bool = False  # whether to sort the selection before its order's index is tried

    @property
    def without(self) -> tuple[str, ...]:
        """The fields that need not be read."""
        return tuple(field for field in BULK if field not in self.needs)


def make_plan(conditions: Sequence[Condition], sort: Sort, counts: Mapping[str, int]) -> Plan:
    """Plans a table. `counts`: of all trainings by status."""
    fields = [*(field for one in conditions for field in one.fields), sort.field]
    needs = frozenset(name for field in fields for name in field.needs)
    statuses = _statuses(conditions)
    selection, selective = _selection(conditions, statuses, counts)
    segments = _segments(sort, selection, _STATUSES if statuses is None else statuses)
    sorts_first = selective and sort.index != IndexOrder.ARRIVAL
    return Plan(selection, segments, tuple(conditions), needs, sorts_first)


def _selection(
    conditions: Sequence[Condition], statuses: Sequence[str] | None, counts: Mapping[str, int]
) -> tuple[tuple[IndexRange, ...], bool]:
    """The ranges of the condition that probably leaves fewest, and whether these may be few."""
    found: dict[RangePath | Literal["_id"], tuple[IndexRange, ...]] = {}
    for one in conditions:
        if one.field is None or one.keys is None:
            continue
        if one.field.kind == Kind.ID and all(len(key) >= _LEAST_ID for key in one.keys):
            prefixes = [key.lower() for key in one.keys]
            found["_id"] = tuple(IndexRange(IndexOrder.ID, low=key, high=key + "g") for key in prefixes)
        elif one.field.name in _PATHS:
            path = _PATHS[one.field.name]
            found.setdefault(path, _ranges(path, one.keys))
    of_status = None if statuses is None else sum(counts.get(status, 0) for status in statuses)
    if statuses is not None and of_status is not None and of_status < _FEW:
        return _ranges("status", statuses), True
    for chosen in _PREFERRED:
        if chosen in found and len(found[chosen]) <= _MOST_RANGES:
            return found[chosen], True
    return (IndexRange(),) if statuses is None else _ranges("status", statuses), False


def _ranges(path: RangePath, values: Sequence[str]) -> tuple[IndexRange, ...]:
    return tuple(IndexRange(IndexOrder.ARRIVAL, path, value) for value in values)


def _statuses(conditions: Sequence[Condition]) -> tuple[str, ...] | None:
    wanted = [one.keys for one in conditions if one.field is not None and one.field.kind == Kind.STATUS and one.keys]
    if not wanted:
        return None
    return tuple(status for status in _STATUSES if all(status in keys for keys in wanted))


def _segments(sort: Sort, selection: tuple[IndexRange, ...], statuses: Sequence[str]) -> tuple[Segment, ...] | None:
    by_arrival = all(one.order == IndexOrder.ARRIVAL for one in selection)
    if sort.index == IndexOrder.ARRIVAL:
        return (Segment(selection),) if by_arrival else None
    rest = Segment(selection if by_arrival else (IndexRange(),), valued=False)
    if sort.index == IndexOrder.PRIORITY:
        return Segment(tuple(IndexRange(IndexOrder.PRIORITY, "status", one) for one in statuses)), rest
    if sort.index == IndexOrder.NAME:
        return Segment((IndexRange(IndexOrder.NAME),)), rest
    if sort.index == IndexOrder.VALUE and len(selection) == 1 and selection[0].path == "job_id":
        return Segment((replace(selection[0], order=IndexOrder.VALUE),)), rest
    return None
