"""Decides which index answers a table, and what is left to be looked at row by row. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mitorch_service.insights.tables.sorting import Sort
from mitorch_service.insights.where.conditions import Condition
from mitorch_service.insights.where.fields import BULK, Field, Kind
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange, RangePath

_MOST_RANGES = 20  # that are merged: each is a query of its own
TIME_ORDERS: Mapping[str, IndexOrder] = {"created": IndexOrder.CREATED, "ended": IndexOrder.ENDED}
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


def make_plan(
    conditions: Sequence[Condition], sort: Sort, counts: Mapping[str, int], further: Sequence[Field] = ()
) -> Plan:
    """Plans a table. `counts`: of all trainings by status; `further`: fields that are read of every row, beyond those
    of filter and order."""
    fields = [*(field for one in conditions for field in one.fields), sort.field, *further]
    needs = frozenset(name for field in fields for name in field.needs)
    statuses = _statuses(conditions)
    every = (IndexRange(),) if statuses is None else _ranges("status", statuses)
    selection = _selection(conditions, statuses, counts)
    segments = _segments(sort, every if selection is None else selection, every, conditions)
    sorts_first = selection is not None and (segments is None or not _covers(segments[0].ranges, selection))
    return Plan(every if selection is None else selection, segments, tuple(conditions), needs, sorts_first)


def _covers(ranges: tuple[IndexRange, ...], selection: tuple[IndexRange, ...]) -> bool:
    """Whether the ranges are the selection, perhaps in another order of the same values."""
    named = [(one.path, one.value) for one in selection if one.path is not None]
    return ranges == selection or (bool(named) and named == [(one.path, one.value) for one in ranges])


def time_range(conditions: Sequence[Condition], order: IndexOrder) -> IndexRange | None:
    """The range of an index on times that the conditions leave; None if they do not limit it."""
    bounds = [one.bounds for one in conditions if one.bounds and one.field and TIME_ORDERS.get(one.field.name) == order]
    if not bounds:
        return None
    low = max((low for low, _ in bounds if low is not None), default=None)
    high = min((high for _, high in bounds if high is not None), default=None)
    return IndexRange(order, low=low, high=high)


def _selection(
    conditions: Sequence[Condition], statuses: Sequence[str] | None, counts: Mapping[str, int]
) -> tuple[IndexRange, ...] | None:
    """The ranges of the condition that probably leaves fewest; None if none of them leaves few."""
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
    if statuses is not None and sum(counts.get(status, 0) for status in statuses) < _FEW:
        return _ranges("status", statuses)
    for chosen in _PREFERRED:
        if chosen in found and len(found[chosen]) <= _MOST_RANGES:
            return found[chosen]
    timed = [time_range(conditions, order) for order in (IndexOrder.ENDED, IndexOrder.CREATED)]
    return next(((one,) for one in timed if one is not None), None)


def _ranges(path: RangePath, values: Sequence[str]) -> tuple[IndexRange, ...]:
    return tuple(IndexRange(IndexOrder.ARRIVAL, path, value) for value in values)


def _statuses(conditions: Sequence[Condition]) -> tuple[str, ...] | None:
    wanted = [one.keys for one in conditions if one.field is not None and one.field.kind == Kind.STATUS and one.keys]
    if not wanted:
        return None
    return tuple(status for status in _STATUSES if all(status in keys for keys in wanted))


def _segments(
    sort: Sort, selection: tuple[IndexRange, ...], every: tuple[IndexRange, ...], conditions: Sequence[Condition]
) -> tuple[Segment, ...] | None:
    """The ranges in which the rows lie in the table's order. `every`: of all, or of the wanted statuses."""
    if any(one.order == IndexOrder.ID for one in selection):
        return None  # so few that they are sorted
    by_arrival = selection if all(one.order == IndexOrder.ARRIVAL for one in selection) else every
    if sort.index == IndexOrder.ARRIVAL:
        return (Segment(by_arrival),)
    rest = Segment(by_arrival, valued=False)
    if sort.index == IndexOrder.PRIORITY:
        statuses = [one.value for one in every if one.value] or _STATUSES
        return Segment(tuple(IndexRange(IndexOrder.PRIORITY, "status", one) for one in statuses)), rest
    if sort.index in (IndexOrder.CREATED, IndexOrder.ENDED):
        limited = time_range(conditions, sort.index)
        return (Segment((limited,)),) if limited else (Segment((IndexRange(sort.index),)), rest)
    if sort.index == IndexOrder.NAME:
        return Segment((IndexRange(sort.index),)), rest
    if sort.index == IndexOrder.VALUE and len(selection) == 1 and selection[0].path == "job_id":
        return Segment((replace(selection[0], order=IndexOrder.VALUE),)), rest
    return None
