"""Reads runs of Trackio from its SQLite files, one for each project, or from the Parquet files beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import SYSTEM_POINT, ForeignRun, FoundRun, ReadOptions, flat, number
from mitorch_service.interop.foreign_sqlite import is_sqlite
from mitorch_service.interop.trackio.trackio_tables import SUFFIXES, ParquetTables, SqliteTables, Tables

EXPECTED = "a file PROJECT.db or PROJECT.parquet of trackio, or the folder of them (~/.cache/huggingface/trackio)"


def find_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs of one project, or of all projects in a folder. A Parquet file counts where there is no SQLite
    file of its project."""
    for file in [path] if path.is_file() else [*sorted(path.glob("*.db")), *sorted(path.glob("*.parquet"))]:
        tables = _open(file)
        if tables is None:
            continue
        for id, name in tables.runs():
            read = partial(_read, tables, id, name, options)
            yield FoundRun(f"{file}, run {name}", f"{file.stem}/{id}", read)


def _open(file: Path) -> Tables | None:
    if file.suffix != ".parquet":
        return SqliteTables(file) if is_sqlite(file) else None
    is_beside = any(
        suffix and file.stem.endswith(suffix) and file.with_name(f"{file.stem.removesuffix(suffix)}.parquet").exists()
        for suffix in SUFFIXES.values()
    )
    return None if is_beside or file.with_suffix(".db").exists() else ParquetTables(file)


def _read(tables: Tables, id: str, name: str, options: ReadOptions) -> ForeignRun:
    run = ForeignRun(id, name, tables.project)
    _read_config(tables, run)
    for row, values in tables.rows("metrics", id):
        at = _time(row.get("timestamp"))
        if at is not None:
            run.started_at = min(at, run.started_at or at)
            run.ended_at = max(at, run.ended_at or at)
        _add(run, row["step"], values, at)
    for row, values in tables.rows("system_metrics", id):
        measured = {f"system/{name}": value for name, value in flat(values).items()}
        if options.system_metrics:
            _add(run, run.curves.last_step, measured, _time(row.get("timestamp")))
        else:
            run.left_out[SYSTEM_POINT] += len(measured)
    return run


def _read_config(tables: Tables, run: ForeignRun) -> None:
    for _, config in tables.rows("configs", run.id):
        run.user = config.pop("_Username", None)
        created, group = config.pop("_Created", None), config.pop("_Group", None)
        run.started_at = _time(created)
        run.tags += [f"group={group}"] if group else []
        run.parameters = config


def _add(run: ForeignRun, step: float, values: dict[str, Any], at: datetime | None) -> None:
    seconds = math.nan if at is None else at.timestamp()
    for name, item in flat(values).items():
        value = number(item)
        if value is not None:
            run.curves.add(name, step, value, seconds)
        elif item is not None:
            kind = item.get("_type", "object") if isinstance(item, dict) else type(item).__name__
            run.left_out[{"str": "text value"}.get(kind, str(kind).removeprefix("trackio."))] += 1


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
