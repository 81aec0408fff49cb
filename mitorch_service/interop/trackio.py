"""Reads runs of Trackio from its SQLite files, one for each project."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import (
    SYSTEM_POINT,
    DamagedRun,
    ForeignRun,
    FoundRun,
    ReadOptions,
    flat,
    number,
)
from mitorch_service.interop.foreign_sqlite import ForeignSqlite, is_sqlite

EXPECTED = "a file PROJECT.db of trackio, or the folder of them (TRACKIO_DIR, ~/.cache/huggingface/trackio)"


def find_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs of one project, or of all projects in a folder."""
    for file in [path] if path.is_file() else sorted(path.glob("*.db")):
        if is_sqlite(file):
            yield from _find_in(file, options)


def _find_in(file: Path, options: ReadOptions) -> Iterator[FoundRun]:
    database = ForeignSqlite(file)
    columns = database.columns("metrics")
    if not {"run_name", "step", "metrics"} <= columns:
        return
    by = "run_id" if "run_id" in columns else "run_name"  # what early versions identify a run by
    project = _Project(database, file.stem, by)
    for row in list(
        database.rows(f"SELECT {by} AS run, min(run_name) AS name FROM metrics GROUP BY {by} ORDER BY min(id)")
    ):
        key = f"{file.stem}/{row['run']}"
        yield FoundRun(f"{file}, run {row['name']}", key, partial(project.read, row["run"], row["name"], options))


class _Project:
    """The database of one project."""

    def __init__(self, database: ForeignSqlite, name: str, by: str) -> None:
        self._database = database
        self._name = name
        self._by = by

    def read(self, id: str, name: str, options: ReadOptions) -> ForeignRun:
        run = ForeignRun(id, name, self._name)
        self._read_config(run)
        times: list[datetime] = []
        for row in self._rows("metrics", id, "step, id"):
            at = _time(row["timestamp"])
            times += [at] if at else []
            _add(run, row["step"], _object(row["metrics"]), at)
        self._read_system_metrics(run, options)
        if times:
            run.started_at = run.started_at or min(times)
            run.ended_at = max(times)
        return run

    def _read_config(self, run: ForeignRun) -> None:
        for row in self._rows("configs", run.id, "id"):
            config = _object(row["config"])
            run.user = config.pop("_Username", None)
            created, group = config.pop("_Created", None), config.pop("_Group", None)
            run.started_at = _time(created)
            run.tags += [f"group={group}"] if group else []
            run.parameters = config

    def _read_system_metrics(self, run: ForeignRun, options: ReadOptions) -> None:
        for row in self._rows("system_metrics", run.id, "id"):
            values = flat(_object(row["metrics"]))
            if options.system_metrics:
                step = run.curves.last_step
                _add(run, step, {f"system/{name}": value for name, value in values.items()}, _time(row["timestamp"]))
            else:
                run.left_out[SYSTEM_POINT] += len(values)

    def _rows(self, table: str, id: str, order: str) -> Iterator[Any]:
        if self._by in self._database.columns(table):
            yield from self._database.rows(f"SELECT * FROM {table} WHERE {self._by} = ? ORDER BY {order}", (id,))


def _add(run: ForeignRun, step: float, values: dict[str, Any], at: datetime | None) -> None:
    seconds = math.nan if at is None else at.timestamp()
    for name, item in flat(values).items():
        value = number(item)
        if value is not None:
            run.curves.add(name, step, value, seconds)
        elif item is not None:
            kind = item.get("_type", "object") if isinstance(item, dict) else type(item).__name__
            run.left_out[{"str": "text value"}.get(kind, str(kind).removeprefix("trackio."))] += 1


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str | bytes) else None
    except ValueError as error:
        raise DamagedRun(f"a row is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise DamagedRun("a row is no JSON object")
    return found


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
