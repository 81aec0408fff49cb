"""Tables as Parquet files, by pyarrow, which is imported only here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import to_json

from mitorch_service.errors import InvalidInput, MissingExtra, Problem
from mitorch_service.insights.tables.columns import Column
from mitorch_service.insights.tables.table import Row
from mitorch_service.insights.where.fields import Kind

if TYPE_CHECKING:
    import pyarrow

ROW_GROUP = 10_000  # rows that are held at once
Type = Literal["int64", "float64", "bool", "string", "timestamp", "list"]

_WHOLE = ("priority", "epoch", "max_epochs", "attempts", "trial")
_PYTHON: dict[Type, tuple[type, ...]] = {
    "int64": (int,),
    "float64": (int, float),
    "bool": (bool,),
    "string": (str,),
    "timestamp": (datetime,),
    "list": (list,),
}


class _Conflict(Exception):
    """A value does not fit the type of its column, which the rows before it have decided."""

    def __init__(self, column: int) -> None:
        self.column = column


def write_parquet(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """Writes a file of row groups of bounded size, whole or not at all; returns the number of rows.

    A column of a config or of parameters has the type of its first values; where a later one does not fit, the file is
    begun again with that column as text, for which `rows` must be iterable again. Raises MissingExtra, InvalidInput.
    """
    if path.exists() and not path.is_file():  # a device would be replaced
        raise _unwritable(path, "is no regular file")
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra("pyarrow", "viewer") from error
    texts: set[int] = set()
    part = path.with_name(f".{path.name}.part")
    try:
        while True:
            try:
                written = _write(part, columns, iter(rows), texts)
                break
            except _Conflict as conflict:
                texts.add(conflict.column)
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, f"cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return written


def _unwritable(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("Parquet file", [Problem(str(path), f"{problem}: name another file, in a folder that exists")])


def _write(part: Path, columns: Sequence[Column], rows: Iterator[Row], texts: set[int]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = list(islice(rows, ROW_GROUP))
    types = [
        "string" if index in texts else _type(column, [row.cells[index] for row in first])
        for index, column in enumerate(columns)
    ]
    fields = [("id", pa.string()), *((column.name, _arrow(kind)) for column, kind in zip(columns, types, strict=True))]
    fields = [(name, kind) for index, (name, kind) in enumerate(fields) if index == 0 or name != "id"]
    kept = [index for index, column in enumerate(columns) if column.name != "id"]
    schema = pa.schema(fields)
    written = 0
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        batch = first
        while batch or not written:
            arrays = [pa.array([row.id for row in batch], pa.string())]
            arrays += [_array(index, types[index], [row.cells[index] for row in batch]) for index in kept]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=ROW_GROUP)
            written += len(batch)
            if not batch:
                break
            batch = list(islice(rows, ROW_GROUP))
    return written


def _type(column: Column, cells: Sequence[object]) -> Type:
    if column.kind == Kind.TIME:
        return "timestamp"
    if column.kind == Kind.TAG:
        return "list"
    if column.kind == Kind.NUMBER:
        return "int64" if column.name in _WHOLE else "float64"
    if column.kind != Kind.ANY:
        return "string"
    present = [cell for cell in cells if cell is not None]
    if present and all(isinstance(cell, bool) for cell in present):
        return "bool"
    numbers = present and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in present)
    return "float64" if numbers else "string"


def _arrow(kind: Type) -> pyarrow.DataType:
    import pyarrow as pa

    types: dict[Type, Any] = {
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("ms", tz="UTC"),
        "list": pa.list_(pa.string()),
    }
    return types.get(kind, pa.string())


def _array(index: int, kind: Type, cells: Sequence[object]) -> pyarrow.Array:
    import pyarrow as pa

    if kind == "string":
        return pa.array([_text(cell) for cell in cells], pa.string())
    for cell in cells:
        fits = isinstance(cell, _PYTHON[kind]) and isinstance(cell, bool) == (kind == "bool")
        if cell is not None and not fits:
            raise _Conflict(index)
    if kind == "float64":
        cells = [None if cell is None else float(cell) for cell in cells]  # type: ignore[arg-type]
    return pa.array(cells, _arrow(kind))


def _text(cell: object) -> str | None:
    return cell if cell is None or isinstance(cell, str) else to_json(cell, inf_nan_mode="constants").decode()
