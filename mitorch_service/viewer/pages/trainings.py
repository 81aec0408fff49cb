"""The table of trainings: its address is the view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from mitorch_service.errors import AmbiguousId, InvalidFilter, InvalidInput, NotFound
from mitorch_service.insights.tables.columns import DEFAULT_COLUMNS, Column
from mitorch_service.insights.tables.counting import count_rows
from mitorch_service.insights.tables.grouping import Grouping, group_trainings
from mitorch_service.insights.tables.opening import SECONDS, TableRequest, open_table
from mitorch_service.insights.tables.table import TablePage, read_table
from mitorch_service.insights.tables.views import KEYS, parse_query
from mitorch_service.insights.where.fields import LOSSES, Kind
from mitorch_service.insights.where.grammar import format_value
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.viewer.charts.status_bar import status_bar
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.live.table import Place, newest_place, version_of
from mitorch_service.viewer.pages.table_rows import places_of, render_row
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)
SIZES = (50, 200, 1000)
_USUAL = ",".join(name for name in DEFAULT_COLUMNS if name != "name")
_FROM_THE_LEAST = (Kind.ID, Kind.STATUS, Kind.JOB, Kind.DATASET, Kind.TAG, Kind.TEXT, Kind.WORDS)
_GROUPED_BY = ("status", "dataset", "job", "by", "cluster", "tag", "created", "ended", "config.model.name")
_PARAMETERS = ("q", "sort", "columns", "group", "value", "limit")
_VIEWS = 50


@dataclass(frozen=True)
class View:
    """The view that an address asks for."""

    q: str = ""
    sort: str = ""
    columns: str = ""
    group: str = ""
    value: str = ""
    limit: int = SIZES[0]
    after: str = ""

    def address(self, **changes: object) -> str:
        """The address of this view with changes, at its first page unless `after` is given."""
        values = {name: changes.get(name, getattr(self, name)) for name in _PARAMETERS}
        if values["limit"] == SIZES[0]:
            values["limit"] = ""
        given = [(name, str(value)) for name, value in {**values, "after": changes.get("after", "")}.items() if value]
        return f"/trainings?{urlencode(given)}" if given else "/trainings"

    def export(self, format: str) -> str:
        """The address of this table as a file."""
        given = {
            "format": format,
            "where": self.q,
            "sort": self.sort,
            "columns": self.columns and f"name,{self.columns}",
        }
        return f"/api/trainings/export?{urlencode([(name, text) for name, text in given.items() if text])}"

    @property
    def live(self) -> str:
        """The address of the changes of this table; ids, and what the page shows already, are still to be added."""
        return f"/api/events/table?{urlencode({'where': self.q, 'columns': f'name,{self.columns or _USUAL}'})}"

    @property
    def request(self) -> TableRequest:
        columns = f"name,{self.columns or _USUAL}"  # the name is the first column of each
        return TableRequest(self.q, self.sort or None, columns, self.limit, self.after or None, SECONDS)


@dataclass(frozen=True)
class Heading:
    """A column as the page shows it."""

    column: Column
    index: int
    sorted: str  # ascending, descending, or empty
    link: str  # that sorts by it
    of: int | None = None  # the cell with the total, where this is a progress


@dataclass(frozen=True)
class Found:
    """The page of the table, or its groups, and how many trainings there are."""

    page: TablePage | None
    groups: Grouping | None
    total: int
    matching: int | None  # None: they would have to be counted one by one
    place: Place = (0, "")  # of the newest training, before the table was read

    def rows(self, now: datetime) -> dict[str, str]:
        """The HTML of the rows, by id."""
        if self.page is None:
            return {}
        return {row.id: render_row(self.page.columns, row, now) for row in self.page.rows}

    def hits(self, now: datetime) -> list[str]:
        """The HTML of the rows that were found at once."""
        return [] if self.page is None else [render_row(self.page.columns, row, now, False) for row in self.page.hits]


@router.get("/trainings")
def show(
    request: Request,
    context: Given,
    q: Annotated[str, Query(max_length=4000)] = "",
    sort: Annotated[str, Query(max_length=300)] = "",
    columns: Annotated[str, Query(max_length=8000)] = "",
    group: Annotated[str, Query(max_length=300)] = "",
    value: Annotated[str, Query(max_length=300)] = "",
    after: Annotated[str, Query(max_length=8000)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = SIZES[0],
) -> HTMLResponse:
    """The trainings that pass the filter `q`, or their groups."""
    view = View(q.strip(), sort, columns.strip(" ,"), group.strip(), value.strip(), limit, after)
    problem, found = None, Found(None, None, 0, None)
    with context.reading() as store:
        views = store.views.list_views().items[:_VIEWS]
        saved = [(one.id, _view_address(one.query)) for one in views]
        try:
            found = _read(context, store, view)
        except (InvalidFilter, InvalidInput, NotFound, AmbiguousId) as error:
            problem = error
    now = context.clock()
    rows = found.rows(now)
    return render(
        request,
        "trainings.html",
        400 if problem is not None else 200,
        title=_title(view, found),
        view=view,
        found=found,
        problem=problem,
        rows=list(rows.values()),
        hits=found.hits(now),
        live=view.live,
        place=",".join(map(str, found.place)),
        row_version=version_of(rows),
        headings=[] if found.page is None else _headings(view, found.page),
        groups=[] if found.groups is None else _groups(view, found.groups),
        statuses=[] if found.groups is None else _statuses(found.groups),
        saved=saved,
        chosen=view.columns or _USUAL,
        usual=_USUAL,
        sizes=SIZES,
        grouped_by=_GROUPED_BY,
    )


def _read(context: Context, store: Store, view: View) -> Found:
    now, total = context.clock(), sum(store.trainings.count_trainings().values())
    if view.group:
        groups = group_trainings(store, view.q, view.group, now, view.value or None, SECONDS)
        return Found(None, groups, total, None)
    place = newest_place(store)
    table = open_table(store, view.request, now)
    return Found(read_table(store, view.request, now), None, total, count_rows(table), place)


def _headings(view: View, page: TablePage) -> list[Heading]:
    field, descending = page.sort.removeprefix("-"), page.sort.startswith("-")
    found = []
    for index, of in places_of(page.columns):
        column = page.columns[index]
        state = ("descending" if descending else "ascending") if column.name == field else ""
        found.append(Heading(column, index, state, _sort_link(view, column, state), of))
    return found


def _sort_link(view: View, column: Column, state: str) -> str:
    upward = column.kind in _FROM_THE_LEAST or column.name.rpartition(".")[2] in LOSSES or column.name == "priority"
    if state:
        upward = state == "descending"
    return view.address(sort=column.name if upward else f"-{column.name}")


def _groups(view: View, grouping: Grouping) -> list[Mapping[str, object]]:
    name = format_value(grouping.by.name)
    most = max((group.count for group in grouping.groups), default=1)
    rows: list[Mapping[str, object]] = []
    for group in grouping.groups:
        term = f"-has:{name}" if group.key is None else f"{name}:{format_value(_text(group.key))}"
        address = view.address(q=f"{view.q} {term}".strip(), group="", value="")
        bar = status_bar(group.by_status, group.count / most)
        rows.append({"group": group, "address": address, "bar": bar, "label": _text(group.key)})
    return rows


def _statuses(grouping: Grouping) -> list[str]:
    """The statuses that occur, in the order of a training's life."""
    return [status.value for status in TrainingStatus if any(one.by_status[status] for one in grouping.groups)]


def _text(key: object) -> str:
    return "" if key is None else str(key).lower() if isinstance(key, bool) else str(key)


def _view_address(query: str) -> str:
    try:
        fields = parse_query(query)
    except InvalidInput:
        return "/trainings"
    where, sort, columns, group, value = (fields.get(name, "") for name in KEYS)
    return View(where, sort, columns, group, value).address()


def _title(view: View, found: Found) -> str:
    if found.groups is not None:
        return f"Trainings by {found.groups.by.name}"
    what = view.q or "trainings"
    return what if found.matching is None else f"{found.matching:,} {what}"
