"""A page of a table of trainings as programs read it, and the ids of all that pass a filter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from mitorch_service.insights.details.values import Detail, plain
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import MAX_ROWS, read_table
from mitorch_service.stores.base import Store


class ColumnDetails(Detail):
    """A column."""

    name: str = Field(description="Whole, such as `config.lr_scheduler.base_lr`.")
    kind: str = Field(description="id, status, job, dataset, tag, text, words, number, time or any.")


class RowDetails(Detail):
    """A training."""

    id: str = Field(description="A GUID.")
    status: str = Field(description="Where it is in its life.")
    cells: list[Any] = Field(description="A value for each column, null where there is none; times in ISO 8601.")


class TableDetails(Detail):
    """A page of a table."""

    columns: list[ColumnDetails] = Field(description="As they were asked for.")
    rows: list[RowDetails] = Field(description="At most `limit`.")
    sort: str = Field(description="The order: a field, with - before it from the greatest on.")
    complete: bool = Field(description="False: the time limit ended it; `next` goes on where it stopped.")
    scanned: int = Field(description="Trainings that were looked at.")
    next: str | None = Field(description="What `after` is for the page behind; null: there is none.")
    previous: str | None = Field(description="What `after` is for the page before.")


def table_details(store: Store, request: TableRequest, now: datetime) -> TableDetails:
    """Reads a page. Raises InvalidFilter, InvalidInput, NotFound, AmbiguousId."""
    page = read_table(store, request, now)
    return TableDetails(
        columns=[ColumnDetails(name=column.name, kind=column.kind.value) for column in page.columns],
        rows=[RowDetails(id=row.id, status=row.status.value, cells=plain(list(row.cells))) for row in page.rows],
        sort=page.sort,
        complete=page.complete,
        scanned=page.scanned,
        next=page.next,
        previous=page.previous,
    )


def matching_ids(store: Store, where: str, most: int, now: datetime) -> tuple[Sequence[str], bool]:
    """Returns the ids of at most `most` trainings that pass a filter, newest first, and whether these are all: it ends
    at the time limit of the pages. Raises InvalidFilter, NotFound, AmbiguousId."""
    ids: list[str] = []
    after: str | None = None
    while len(ids) < most:
        limit = min(MAX_ROWS, most - len(ids))
        page = read_table(store, TableRequest(where, columns="status", limit=limit, after=after), now)
        ids += [row.id for row in page.rows]
        if page.next is None or not page.complete:
            return ids, page.complete
        after = page.next
    return ids, False
