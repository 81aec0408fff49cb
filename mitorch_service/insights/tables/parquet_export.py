"""Tables as Parquet files, by pyarrow, which is imported only here."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from pydantic_core import to_json

from mitorch_service.errors import InvalidInput, MissingExtra, Problem
from mitorch_service.insights.tables.columns import Column
from mitorch_service.insights.tables.table import Row
from mitorch_service.insights.where.fields import Kind

if TYPE_CHECKING:
    import pyarrow
    from _typeshed import ReadableBuffer as Buffer

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
    _need_pyarrow()
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


def _need_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra("pyarrow", "viewer") from error


def _unwritable(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("Parquet file", [Problem(str(path), f"{problem}: name another file, in a folder that exists")])


def parquet_blocks(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[bytes]:
    """Yields a file while its rows are read, of which it holds `ROW_GROUP` at once. What is sent cannot be taken back:
    where columns of a config or of parameters are among them, `rows` is gone through twice, first for their types.
    Raises MissingExtra before the first block."""
    _need_pyarrow()
    types = _types_of_all(columns, rows)
    with _Sent() as sent:
        for _ in _groups(cast(IO[bytes], sent), columns, types, iter(rows)):
            if block := sent.taken():
                yield block


class _Sent(io.RawIOBase):
    """A file that is only written, whose content is taken away by and by."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Buffer) -> int:
        block = bytes(content)
        self._blocks.append(block)
        return len(block)

    def taken(self) -> bytes:
        """Returns the content that was written since."""
        block = b"".join(self._blocks)
        self._blocks.clear()
        return block


def _types_of_all(columns: Sequence[Column], rows: Iterable[Row]) -> list[Type]:
    """The types that all values fit."""
    unknown = {index: _Fitting() for index, column in enumerate(columns) if column.kind == Kind.ANY}
    if unknown:
        for row in rows:
            for index, fitting in unknown.items():
                fitting.add(row.cells[index])
            if all(fitting.type == "string" for fitting in unknown.values()):
                break
    return [unknown[index].type if index in unknown else _type(column, ()) for index, column in enumerate(columns)]


class _Fitting:
    """The type that the values so far fit: text if they are of several kinds, or none is known."""

    def __init__(self) -> None:
        self._seen: Type | None = None

    @property
    def type(self) -> Type:
        return self._seen or "string"

    def add(self, cell: object) -> None:
        if cell is not None and self._seen != "string":
            found = _type_of(cell)
            self._seen = found if self._seen in (None, found) else "string"


def _write(part: Path, columns: Sequence[Column], rows: Iterator[Row], texts: set[int]) -> int:
    first = list(islice(rows, ROW_GROUP))
    types: list[Type] = [
        "string" if index in texts else _type(column, [row.cells[index] for row in first])
        for index, column in enumerate(columns)
    ]
    with part.open("wb") as file:
        return sum(_groups(file, columns, types, chain(first, rows)))


def _groups(file: IO[bytes], columns: Sequence[Column], types: Sequence[Type], rows: Iterator[Row]) -> Iterator[int]:
    """Writes the file group by group, at least one; yields the rows of each, and 0 when the end is written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept = [index for index, column in enumerate(columns) if column.name != "id"]
    schema = pa.schema([("id", pa.string()), *((columns[index].name, _arrow(types[index])) for index in kept)])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        batch = list(islice(rows, ROW_GROUP))
        while True:
            arrays = [pa.array([row.id for row in batch], pa.string())]
            arrays += [_array(index, types[index], [row.cells[index] for row in batch]) for index in kept]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=ROW_GROUP)
            yield len(batch)
            batch = list(islice(rows, ROW_GROUP))
            if not batch:
                break
    yield 0


def _type(column: Column, cells: Sequence[object]) -> Type:
    if column.kind == Kind.TIME:
        return "timestamp"
    if column.kind == Kind.TAG:
        return "list"
    if column.kind == Kind.NUMBER:
        return "int64" if column.name in _WHOLE else "float64"
    if column.kind != Kind.ANY:
        return "string"
    fitting = _Fitting()
    for cell in cells:
        fitting.add(cell)
    return fitting.type


def _type_of(cell: object) -> Type:
    """The type of one value of a config or of parameters."""
    if isinstance(cell, bool):
        return "bool"
    return "float64" if isinstance(cell, int | float) else "string"


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
