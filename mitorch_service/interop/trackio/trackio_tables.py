"""The tables of a project of Trackio: in its SQLite file, or in the Parquet files that it keeps of that for a hub."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from mitorch_service.errors import MissingExtra
from mitorch_service.interop.foreign_run import DamagedRun
from mitorch_service.interop.foreign_sqlite import ForeignSqlite

Table = Literal["metrics", "system_metrics", "configs"]
_JSON = {"metrics": "metrics", "system_metrics": "metrics", "configs": "config"}  # table -> its column of JSON
SUFFIXES: Mapping[Table, str] = {"metrics": "", "system_metrics": "_system", "configs": "_configs"}  # of Parquet files
_COLUMNS = {"id", "run_id", "run_name", "timestamp", "created_at", "step", "log_id", "space_id"}  # all others: values


class Tables(ABC):
    """One project. Early versions identify a run by its name."""

    project: str

    @abstractmethod
    def runs(self) -> Iterator[tuple[str, str]]:
        """Yields id and name of each run; nothing if this is no project. Raises DamagedRun."""

    @abstractmethod
    def rows(self, table: Table, id: str) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
        """Yields the rows of a run, by step, each with its values. Raises DamagedRun."""


class SqliteTables(Tables):
    """A project in its SQLite file."""

    def __init__(self, file: Path) -> None:
        self.project = file.stem
        self._database = ForeignSqlite(file)
        columns = self._database.columns("metrics")
        self._is_project = {"run_name", "step", "metrics"} <= columns
        self._by = "run_id" if "run_id" in columns else "run_name"

    def runs(self) -> Iterator[tuple[str, str]]:
        if self._is_project:
            by = self._by
            sql = f"SELECT {by} AS run, min(run_name) AS name FROM metrics GROUP BY {by} ORDER BY min(id)"  # noqa: S608
            yield from [(row["run"], row["name"]) for row in self._database.rows(sql)]

    def rows(self, table: Table, id: str) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
        if self._by in self._database.columns(table):
            order = "step, id" if table == "metrics" else "id"
            for row in self._database.rows(f"SELECT * FROM {table} WHERE {self._by} = ? ORDER BY {order}", (id,)):  # noqa: S608
                yield dict(row), _object(row[_JSON[table]])


class ParquetTables(Tables):
    """A project in its Parquet files, which hold each value in a column."""

    def __init__(self, file: Path) -> None:
        """Raises MissingExtra."""
        self.project = file.stem
        self._files = {table: file.with_name(f"{file.stem}{suffix}.parquet") for table, suffix in SUFFIXES.items()}
        try:
            from pyarrow import ArrowException, parquet
        except ModuleNotFoundError as error:
            raise MissingExtra("pyarrow", "viewer") from error
        self._parquet: Any = parquet
        self._errors: tuple[type[Exception], ...] = (ArrowException, ValueError, OSError)
        self._by = "run_id"

    def runs(self) -> Iterator[tuple[str, str]]:
        try:
            names = self._parquet.read_schema(self._files["metrics"]).names
            if not {"run_name", "step"} <= set(names):
                return
            self._by = "run_id" if "run_id" in names else "run_name"
            table = self._parquet.read_table(self._files["metrics"], columns=list({self._by, "run_name"}))
            found = dict(zip(table[self._by].to_pylist(), table["run_name"].to_pylist(), strict=True))
        except self._errors as error:
            raise self._damaged("metrics", error) from error
        yield from found.items()

    def rows(self, table: Table, id: str) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
        if not self._files[table].is_file():
            return
        try:
            rows = self._parquet.read_table(self._files[table], filters=[(self._by, "=", id)]).to_pylist()
        except self._errors as error:
            raise self._damaged(table, error) from error
        for row in sorted(rows, key=lambda row: (row.get("step", 0), row.get("id", 0))):
            yield row, {name: value for name, value in row.items() if name not in _COLUMNS and value is not None}

    def _damaged(self, table: Table, error: Exception) -> DamagedRun:
        return DamagedRun(f"{self._files[table].name} cannot be read: {str(error).splitlines()[0]}")


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str | bytes) else None
    except ValueError as error:
        raise DamagedRun(f"a row is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise DamagedRun("a row is no JSON object")
    return found
