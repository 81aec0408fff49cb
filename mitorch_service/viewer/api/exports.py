"""Tables of trainings as files, streamed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Query
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response, StreamingResponse

from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.parquet_export import write_parquet
from mitorch_service.insights.tables.rows import TableRows
from mitorch_service.insights.tables.text_export import csv_lines, json_lines
from mitorch_service.viewer.api.parameters import Text
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Given

router = api_router("tables")
_LINES = 500  # that are sent at once
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}
_NAMES = {"csv": "trainings.csv", "json": "trainings.jsonl", "parquet": "trainings.parquet"}


@router.get(
    "/trainings/export",
    summary="A table as a file",
    response_class=Response,
    responses={200: {"description": "The file.", "content": {kind: {} for kind in _TYPES.values()}}},
)
def export(
    context: Given,
    format: Annotated[Literal["csv", "json", "parquet"], Query(description="json: an object in each line.")] = "csv",
    where: Annotated[Text, Query(max_length=4000, description="A filter, as in `miquery --where`.")] = "",
    sort: Annotated[Text | None, Query(max_length=300, description="FIELD, or -FIELD; newest first without.")] = None,
    columns: Annotated[Text | None, Query(max_length=8000, description="Names with commas between.")] = None,
) -> Response:
    """As `miquery --csv` and `--parquet`: all rows, read and sent by and by. In CSV a text that a spreadsheet would
    take for a formula gets an apostrophe in front. Parquet is written whole before it is sent."""
    rows = TableRows(context.store, TableRequest(where, sort, columns), context.clock())
    headers = {"content-disposition": f'attachment; filename="{_NAMES[format]}"', "cache-control": "no-store"}
    if format == "parquet":
        with tempfile.NamedTemporaryFile(prefix="mitorch-export-", suffix=".parquet", delete=False) as made:
            path = Path(made.name)
        try:
            write_parquet(path, rows.columns, rows)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        done = BackgroundTask(path.unlink, missing_ok=True)
        return FileResponse(path, media_type=_TYPES[format], headers=headers, background=done)
    request = TableRequest(where, sort, columns)

    def lines() -> Iterator[str]:
        # A connection of its own: the server reads a stream in one thread after the other.
        with context.apart() as store:
            found = TableRows(store, request, context.clock())
            yield from csv_lines(found.columns, found) if format == "csv" else json_lines(found.columns, found)

    return StreamingResponse(_blocks(lines()), media_type=_TYPES[format], headers=headers)


def _blocks(lines: Iterator[str]) -> Iterator[str]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == _LINES:
            yield "".join(block)
            block = []
    yield "".join(block)
