"""Reads runs of Neptune from the SQLite files in which its client `neptune-scale` keeps what it logs.

The numbers of the fields are those of neptune_pb/ingest/v1/common.proto and pub/ingest.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import SYSTEM_POINT, ForeignRun, FoundRun, ReadOptions
from mitorch_service.interop.foreign_sqlite import ForeignSqlite, is_sqlite
from mitorch_service.interop.neptune.neptune_fields import change_tags, set_field
from mitorch_service.interop.protobuf import Value, double, fields, inner, text, whole

_UPDATE, _CREATE = 0, 1  # kinds of operations
_SYSTEM = ("runtime", "system")  # namespaces of metrics of the machine
_ADDED = 1  # of a tag; else removed


def find_scale_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs of a file, or of the files below a folder."""
    for file in [path] if path.is_file() else sorted(path.rglob("*.sqlite3")):
        if not is_sqlite(file):
            continue
        database = ForeignSqlite(file)
        if "operation" not in database.columns("run_operations"):
            continue
        for row in database.rows("SELECT project, run_id FROM metadata LIMIT 1"):
            read = partial(_read, database, row["project"], row["run_id"], options)
            yield FoundRun(str(file), f"{row['project']}/{row['run_id']}", read)


def _read(database: ForeignSqlite, project: str, id: str, options: ReadOptions) -> ForeignRun:
    run = ForeignRun(id, project=project)
    for row in database.rows("SELECT operation_type, operation FROM run_operations ORDER BY sequence_id"):
        if row["operation_type"] == _CREATE:
            _read_creation(run, row["operation"])
        elif row["operation_type"] == _UPDATE:
            _read_update(run, row["operation"], options)
    return run


def _read_creation(run: ForeignRun, message: bytes) -> None:
    for kind, value in fields(message):
        if kind == 5:
            run.name = text(value)
        elif kind == 3:
            run.started_at = datetime.fromtimestamp(_seconds(value), UTC)


def _read_update(run: ForeignRun, message: bytes, options: ReadOptions) -> None:
    step: float | None = None
    at = math.nan
    for kind, value in fields(message):
        if kind == 1:
            parts = dict(fields(inner(value)))
            step = whole(parts.get(1, 0)) + whole(parts.get(2, 0)) / 1e6
        elif kind == 2:
            at = _seconds(value)
            time = datetime.fromtimestamp(at, UTC)
            run.ended_at = max(time, run.ended_at or time)
        elif kind in (4, 5, 8):
            entry = dict(fields(inner(value)))
            path = text(entry.get(1, b"")).split("/")
            content = inner(entry.get(2, b""))
            if kind == 4:
                _assign(run, path, content)
            elif kind == 5:
                _change_set(run, path, content)
            else:
                _append(run, path, content, step, at, options)


def _assign(run: ForeignRun, path: list[str], message: bytes) -> None:
    found = _plain(message)
    if found is None:
        run.left_out["file or value of another kind"] += 1
    else:
        set_field(run, path, found)


def _append(
    run: ForeignRun, path: list[str], message: bytes, step: float | None, at: float, options: ReadOptions
) -> None:
    found = _plain(message)
    is_system = path[0] in _SYSTEM
    if not isinstance(found, int | float):
        run.left_out["text value" if isinstance(found, str) else "file or value of another kind"] += 1
    elif is_system and not options.system_metrics:
        run.left_out[SYSTEM_POINT] += 1
    else:
        name = "/".join(["system", *path[1:]] if is_system else path)
        run.curves.add(name, run.curves.last_step if step is None else step, float(found), at)


def _change_set(run: ForeignRun, path: list[str], message: bytes) -> None:
    added: list[str] = []
    removed: list[str] = []
    for _, of_strings in fields(message):
        for _, entry in fields(inner(of_strings)):
            parts = dict(fields(inner(entry)))
            (added if parts.get(2) == _ADDED else removed).append(text(parts.get(1, b"")))
    change_tags(run, path, added, removed)


def _plain(message: bytes) -> Any:
    """The number, text or truth value in a Value; None for a file, a histogram and the like."""
    for kind, value in fields(message):
        if kind == 1:
            return double(value)
        if kind == 3:
            return whole(value)
        if kind == 5:
            return bool(value)
        if kind == 6:
            return text(value)
        if kind == 8:
            return datetime.fromtimestamp(_seconds(value), UTC).isoformat()
        if kind == 12:
            return [text(one) for _, one in fields(inner(value))]
    return None


def _seconds(value: Value) -> float:
    """The seconds since 1970 of a google.protobuf.Timestamp."""
    parts = dict(fields(inner(value)))
    return whole(parts.get(1, 0)) + whole(parts.get(2, 0)) / 1e9
