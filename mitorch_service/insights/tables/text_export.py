"""Tables as CSV and as JSON lines, line by line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from pydantic_core import to_json

from mitorch_service.insights.tables.columns import Column
from mitorch_service.insights.tables.table import Row
from mitorch_service.wording.control_characters import json_text, shown

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet's formula begins


def csv_lines(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """Yields the lines of a CSV file (RFC 4180): the headings, then the rows, the id first. Times are ISO 8601 in UTC,
    lists and objects JSON, control characters but tabs and line breaks visible. A text that a spreadsheet would take
    for a formula gets an apostrophe in front."""
    others = [index for index, column in enumerate(columns) if column.name != "id"]
    headings = ["id", *(columns[index].heading for index in others)]
    return csv_table(headings, ([row.id, *(row.cells[index] for index in others)] for row in rows))


def csv_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yields the lines of a CSV file with these headings and rows."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for cells in chain([headings], rows):
        writer.writerow([_csv_cell(cell) for cell in cells])
        yield _taken(buffer)


def json_lines(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """Yields a JSON object for each row: `id`, and the columns by name."""
    for row in rows:
        yield json_text(to_json(row_object(columns, row), inf_nan_mode="null").decode()) + "\n"


def row_object(columns: Sequence[Column], row: Row) -> dict[str, object]:
    """The cells of a row by the names of their columns, with the id; times as text."""
    cells = (json_cell(cell) for cell in row.cells)
    return {"id": row.id, **dict(zip((column.name for column in columns), cells, strict=True))}


def json_cell(cell: object) -> object:
    """The cell in JSON: a time as ISO 8601 in UTC, null for a number that is not finite."""
    if isinstance(cell, datetime):
        return time_text(cell)
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def time_text(time: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond: ``2026-11-29T12:00:00.000Z``."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _csv_cell(cell: object) -> object:
    if isinstance(cell, bool):
        return str(cell).lower()
    if cell is None or isinstance(cell, int | float):
        return cell
    if isinstance(cell, datetime):
        return time_text(cell)
    text = shown(cell if isinstance(cell, str) else to_json(cell, inf_nan_mode="constants").decode())
    return f"'{text}" if text.startswith(_FORMULA) else text


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
