"""Groups of trainings by a field: their numbers, by status, and what a value reaches in each."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mitorch_service.errors import BrokenDocument, InvalidInput, Problem
from mitorch_service.insights.details.values import masked
from mitorch_service.insights.tables.columns import Column, choose_columns
from mitorch_service.insights.tables.curves import add_curves
from mitorch_service.insights.tables.known_columns import known_names
from mitorch_service.insights.tables.opening import SECONDS, Clock, Table, TableRequest, open_table
from mitorch_service.insights.tables.scan import Scan
from mitorch_service.insights.tables.walk import Walk
from mitorch_service.insights.where.fields import Field, Kind
from mitorch_service.insights.where.terms import Where
from mitorch_service.models.search.objectives import usual_direction
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument

MAX_GROUPS = 1000
_PAGE = 1000


@dataclass
class Group:
    """The trainings with one value of the field."""

    key: object  # text, number, or a day of a time (2026-11-01); None: those without a value
    count: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    n: int = 0  # of them with a finite value
    least: float | None = None
    greatest: float | None = None
    best: float | None = None  # the least of a loss, the greatest of a metric
    total: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean of the values."""
        return self.total / self.n if self.n else None

    def add(self, status: str, value: float | None, least_is_best: bool) -> None:
        """Counts a training."""
        self.count += 1
        self.by_status[status] += 1
        if value is None or not math.isfinite(value):
            return
        self.n += 1
        self.total += value
        self.least = value if self.least is None else min(self.least, value)
        self.greatest = value if self.greatest is None else max(self.greatest, value)
        self.best = self.least if least_is_best else self.greatest


@dataclass(frozen=True)
class Grouping:
    """The groups, the largest first."""

    by: Column
    value: Column | None
    groups: Sequence[Group]
    left_out: int  # trainings of further groups: there are more than MAX_GROUPS
    complete: bool  # False: the time limit ended it; the numbers are of the `scanned` newest trainings
    scanned: int
    unreadable: Sequence[BrokenDocument]


def group_trainings(
    store: Store,
    where: str | Where,
    by: str,
    now: datetime,
    value: str | None = None,
    seconds: float = SECONDS,
    clock: Clock = time.monotonic,
) -> Grouping:
    """Groups the trainings that pass a filter by a field: each in one group, by a tag in one for each of its tags, by a
    time in that of its day. Holds the groups only. Raises InvalidFilter, InvalidInput; NotFound, AmbiguousId for a
    job."""
    request = TableRequest(where, sort="newest", columns="status")
    table = open_table(store, request, now, clock)
    key, measure = check_grouping(store, by, value)
    if key.name == "status" and measure is None and not table.where.terms:
        return _by_status(key, store.trainings.count_trainings())
    fields = [one.field for one in (key, measure) if one is not None]
    scan = Scan(table, clock() + seconds)
    groups, left_out = _collect(table, scan, fields)
    ordered = sorted(groups.values(), key=lambda group: (-group.count, str(group.key)))
    complete = not scan.out_of_time
    return Grouping(key, measure, ordered, left_out, complete, scan.scanned, list(scan.broken.values()))


def _by_status(key: Column, counts: Mapping[str, int]) -> Grouping:
    """The groups of all trainings by status, which the database keeps counted."""
    groups = [Group(status, n, Counter({status: n})) for status, n in counts.items()]
    return Grouping(key, None, sorted(groups, key=lambda group: -group.count), 0, True, 0, [])


def check_grouping(store: Store, by: str, value: str | None) -> tuple[Column, Column | None]:
    """Returns the columns of these names. Raises InvalidInput for one that is unknown, or a value that is no number."""
    known = known_names(store)
    (key,) = choose_columns([by], known)
    if value is None:
        return key, None
    (measure,) = choose_columns([value], known)
    if measure.kind not in (Kind.NUMBER, Kind.ANY):
        raise InvalidInput("value", [Problem(value, "is no number: choose one, such as val_loss")])
    return key, measure


def _collect(table: Table, scan: Scan, fields: Sequence[Field]) -> tuple[dict[str, Group], int]:
    by, *values = fields
    least_is_best = bool(values) and usual_direction(values[0].name) == "minimize"
    needs = {name for one in fields for name in one.needs}
    walk = Walk(table.store, table.now, tuple(name for name in table.plan.without if name not in needs), _PAGE)
    groups: dict[str, Group] = {}
    left_out = 0
    for step in scan.accepted(walk.in_any_order(table.plan.selection)):
        add_curves(table.store, step.document, fields)
        found = _number(values[0].read(step.document, table.now)) if values else None
        for key in _keys(by, step.document, table.now):
            name = f"{type(key).__name__} {key}"
            if name not in groups and len(groups) >= MAX_GROUPS:
                left_out += 1
                continue
            groups.setdefault(name, Group(key)).add(str(step.document.get("status")), found, least_is_best)
    for document in walk.unplaced:
        scan.set_aside(document)
    return groups, left_out


def _keys(by: Field, document: StoredDocument, now: datetime) -> Iterator[object]:
    value = masked(by.read(document, now))
    if isinstance(value, list):
        yield from value or [None]
    elif isinstance(value, datetime):
        yield value.date().isoformat()
    else:
        yield value if isinstance(value, str | int | float) else None if value is None else str(value)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
