"""Tables of trainings as files, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.parquet_export import parquet_blocks
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
    take for a formula gets an apostrophe in front. In Parquet a
    column of a config or of parameters has one type, text if its values are of several: for that all rows are read
    once before the first is sent."""
    request, now = TableRequest(where, sort, columns), context.clock()

    def content() -> Iterator[str | bytes]:
        # A connection of its own: the server reads a stream in one thread after the other.
        with context.apart() as store:
            rows = TableRows(store, request, now)
            if format == "parquet":
                yield from parquet_blocks(rows.columns, rows)
            else:
                lines = csv_lines(rows.columns, rows) if format == "csv" else json_lines(rows.columns, rows)
                yield from _blocks(lines)

    headers = {"content-disposition": f'attachment; filename="{_NAMES[format]}"', "cache-control": "no-store"}
    blocks = content()
    first = next(blocks)  # what is wrong with the request is told in its place
    return StreamingResponse(chain([first], blocks), media_type=_TYPES[format], headers=headers)


def _blocks(lines: Iterator[str]) -> Iterator[str]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == _LINES:
            yield "".join(block)
            block = []
    yield "".join(block)
