"""Opens a table: resolves the names of a request, and plans how its rows are found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from mitorch_service.errors import NotFound
from mitorch_service.insights.tables.columns import Column, parse_columns
from mitorch_service.insights.tables.known_columns import known_names
from mitorch_service.insights.tables.plan import TIME_ORDERS, Plan, make_plan
from mitorch_service.insights.tables.sorting import Sort, parse_sort
from mitorch_service.insights.where.conditions import Condition, compile_where
from mitorch_service.insights.where.fields import Field
from mitorch_service.insights.where.grammar import parse_where
from mitorch_service.insights.where.terms import Where
from mitorch_service.stores.base import Store

SECONDS = 1.0  # in which a page is made

Clock = Callable[[], float]


@dataclass(frozen=True)
class TableRequest:
    """A table as a person asks for it."""

    where: str | Where = ""
    sort: str | None = None  # FIELD, or -FIELD: descending; None: newest first
    columns: str | None = None  # names with commas between; None: the usual ones
    limit: int = 50  # rows of a page
    after: str | None = None  # the token of the page before (`next`) or behind (`previous`)
    seconds: float = SECONDS


@dataclass(frozen=True)
class Table:
    """A table whose names are resolved."""

    store: Store
    where: Where
    sort: Sort
    columns: tuple[Column, ...]
    plan: Plan
    now: datetime
    clock: Clock

    @property
    def looked_at(self) -> list[Field]:
        """The fields that are read of every document, for filter and order."""
        return [*(field for one in self.plan.conditions for field in one.fields), self.sort.field]


def open_table(
    store: Store, request: TableRequest, now: datetime, clock: Clock = time.monotonic, whole: bool = False
) -> Table:
    """Resolves the names of a request. `whole`: most rows are shown, so that their columns are read at once. Raises
    InvalidFilter, InvalidInput; NotFound, AmbiguousId for a job."""
    known = known_names(store)
    where = parse_where(request.where) if isinstance(request.where, str) else request.where
    columns = parse_columns(request.columns, known)
    conditions = compile_where(where, now, partial(find_jobs, store), known)
    sort = parse_sort(request.sort or _usual_sort(conditions), known)
    counts = store.trainings.count_trainings()
    plan = make_plan(conditions, sort, counts, [column.field for column in columns] if whole else ())
    return Table(store, where, sort, columns, plan, now, clock)


def _usual_sort(conditions: Sequence[Condition]) -> str | None:
    """The newest first; where the filter limits a time, by it, as its index holds them side by side."""
    timed = [one.field.name for one in conditions if one.bounds is not None and one.field is not None]
    return next((f"-{name}" for name in timed if name in TIME_ORDERS), None)


def find_jobs(store: Store, key: str) -> Sequence[str]:
    """The jobs with this id, beginning of an id, or name. Raises NotFound, AmbiguousId."""
    try:
        kind, id = store.trainings.resolve_id(key)
        if kind == "job":
            return [id]
    except NotFound:
        pass  # it is perhaps a name
    named = [id for kind, id in store.trainings.find_named(key) if kind == "job"]
    if not named:
        raise NotFound("job", key, "List the jobs with miquery --jobs.")
    return named
