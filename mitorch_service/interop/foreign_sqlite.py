"""Opens SQLite files of other systems, without changing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import DamagedRun

_MAGIC = b"SQLite format 3\0"
_WAL_PLACE, _WAL = 18, b"\2"  # the version for writing, in the header
_WAIT_SECONDS = 10.0  # while the other system writes


def is_sqlite(path: Path) -> bool:
    """Whether the file is a database of SQLite. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _mode(path: Path) -> str:
    """A file with a write-ahead log that nobody has open is read as it is: else SQLite would write files beside it."""
    try:
        with path.open("rb") as file:
            is_ahead = file.read(_WAL_PLACE + 1)[_WAL_PLACE:] == _WAL
    except OSError as error:
        raise DamagedRun(f"{path} cannot be read: {error.strerror}") from error
    return "immutable=1" if is_ahead and not path.with_name(f"{path.name}-wal").exists() else "mode=ro"


class ForeignSqlite:
    """A database of another system, opened for reading only."""

    def __init__(self, path: Path) -> None:
        """Raises DamagedRun if it cannot be opened."""
        self.path = path
        with self._errors():
            uri = f"{path.absolute().as_uri()}?{_mode(path)}"
            self._connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
            self._connection.row_factory = sqlite3.Row

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[sqlite3.Row]:
        """Yields the rows of a query, a few at a time. Raises DamagedRun."""
        with self._errors():
            yield from self._connection.execute(sql, values)

    def columns(self, table: str) -> set[str]:
        """Returns the names of the columns of a table, none if it is missing. Raises DamagedRun."""
        return {row["name"] for row in self.rows(f"SELECT name FROM pragma_table_info('{table}')")}  # noqa: S608 (a name of ours)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DamagedRun(f"{self.path} cannot be read: {error}") from error
