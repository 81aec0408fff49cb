"""Reads tables in Parquet as the lines of a CSV file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator

from mitorch_service.annotations.writers.csv_rows import CsvRows
from mitorch_service.errors import DataError, MissingExtra

_ROWS = 10_000  # that are in memory as objects at a time


def parquet_lines(name: str, content: bytes, delimiter: str) -> Iterator[str]:
    """Yields the header and the rows; lists and structures are JSON. Raises DataError for what is no Parquet,
    MissingExtra."""
    try:
        from pyarrow import ArrowException, BufferReader, parquet
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "pyarrow", "viewer") from error
    try:
        file = parquet.ParquetFile(BufferReader(content))
        yield from _lines([file.schema_arrow.names], delimiter)
        for batch in file.iter_batches(_ROWS):
            yield from _lines(([_text(value) for value in row.values()] for row in batch.to_pylist()), delimiter)
    except (ArrowException, OSError) as error:
        raise DataError(f"{name} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def _lines(rows: Iterable[Iterable[object]], delimiter: str) -> Iterator[str]:
    written = io.StringIO()
    CsvRows(written, delimiter).writerows(rows)
    written.seek(0)
    yield from written  # line feeds alone end its lines, not what else Unicode calls one


def _text(value: object) -> object:
    return json.dumps(value, default=str) if isinstance(value, list | dict) else value
