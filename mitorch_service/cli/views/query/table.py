"""Shows a page of a table of trainings (`miquery --where`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from mitorch_service.cli.views.pages.page import Block, Column, Lines, Page, Table
from mitorch_service.cli.views.query.base import View
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import Row, TablePage, read_table
from mitorch_service.insights.tables.text_export import row_object
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.wording.counted import counted

_CUT = 12  # characters to which texts may be cut


class TableView(View):
    """One page of a table."""

    waits = False

    def __init__(self, store: Store, request: TableRequest) -> None:
        self._store = store
        self._request = request

    def read(self) -> Page:
        page = self._read()
        shown = [index for index, column in enumerate(page.columns) if column.name != "id"]
        columns = [Column("id"), *(Column(page.columns[index].heading, n, _CUT) for n, index in enumerate(shown, 1))]
        blocks: list[Block] = [Table("trainings", columns, [_cells(row, page, shown) for row in page.rows])]
        if page.hits:
            title = "found at once by id, name or tag"
            blocks.append(Table(title, columns, [_cells(row, page, shown) for row in page.hits]))
        if page.unreadable:
            blocks.append(Lines([str(broken) for broken in page.unreadable], to_errors=True))
        return Page([*blocks, Lines(list(_notes(page, self._request.seconds)))])

    def has_ended(self) -> bool:
        return False

    def fields(self) -> Iterable[tuple[str, object]]:
        page = self._read()
        yield "columns", [column.name for column in page.columns]
        yield "rows", [row_object(page.columns, row) for row in page.rows]
        yield "sort", page.sort
        yield "complete", page.complete
        yield "scanned", page.scanned
        yield "next", page.next
        yield "previous", page.previous
        yield "hits", [row_object(page.columns, row) for row in page.hits]
        yield "unreadable", [{"id": str(one.key), "reason": one.reason} for one in page.unreadable]

    def _read(self) -> TablePage:
        return read_table(self._store, self._request, datetime.now(UTC))


def _cells(row: Row, page: TablePage, shown: Iterable[int]) -> list[object]:
    cells: list[object] = [row.id[:8]]
    for index in shown:
        cell, name = row.cells[index], page.columns[index].name
        if name == "status":
            cell = TrainingStatus(row.status)
        cells.append(str(cell)[:8] if name == "job" and cell is not None else cell)
    return cells


def _notes(page: TablePage, seconds: float) -> Iterable[str]:
    if not page.rows:
        yield "none fits" if page.complete else "none found so far"
    if not page.complete:
        looked = f"looked at {counted(page.scanned, 'training')} in {seconds:g} s"
        yield f"{looked}, and not at all: --time-limit gives it more time, --after goes on from there"
    for name, token in (("next page", page.next), ("page before", page.previous)):
        if token is not None:
            yield f"{name}: --after {token}"
