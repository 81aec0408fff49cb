"""Reads runs of MLflow from its SQLite file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mitorch_service.interop.foreign_run import SYSTEM_POINT, DamagedRun, ForeignRun, FoundRun, ReadOptions
from mitorch_service.interop.foreign_sqlite import ForeignSqlite
from mitorch_service.interop.mlflow.mlflow_fields import SYSTEM_PREFIX, parameter, set_status, set_tag, time_of

_RUNS = "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time, run_uuid"
_RUN = (
    "SELECT runs.name AS name, user_id, status, start_time, end_time, experiments.name AS project"
    " FROM runs LEFT JOIN experiments ON experiments.experiment_id = runs.experiment_id WHERE run_uuid = ?"
)
_METRICS = 'SELECT "key", value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY step, timestamp'


def find_sqlite_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs of a database of MLflow that are not deleted; nothing for another one. Raises DamagedRun."""
    database = ForeignSqlite(path)
    if {"run_uuid", "lifecycle_stage"} <= database.columns("runs"):
        for row in list(database.rows(_RUNS)):
            id = row["run_uuid"]
            yield FoundRun(f"{path}, run {id}", id, partial(_read, database, id, options))


def _read(database: ForeignSqlite, id: str, options: ReadOptions) -> ForeignRun:
    (row,) = database.rows(_RUN, (id,))
    run = ForeignRun(id, row["name"], row["project"], user=row["user_id"] or None)
    set_status(run, str(row["status"]))
    run.started_at, run.ended_at = time_of(row["start_time"]), time_of(row["end_time"])
    for tag in database.rows('SELECT "key", value FROM tags WHERE run_uuid = ? ORDER BY "key"', (id,)):
        set_tag(run, tag["key"], tag["value"] or "")
    for found in database.rows('SELECT "key", value FROM params WHERE run_uuid = ? ORDER BY "key"', (id,)):
        run.parameters[found["key"]] = parameter(found["value"])
    for point in database.rows(_METRICS, (id,)):
        if point["key"].startswith(SYSTEM_PREFIX) and not options.system_metrics:
            run.left_out[SYSTEM_POINT] += 1
            continue
        try:
            value = math.nan if point["is_nan"] else float(point["value"])
            run.curves.add(point["key"], point["step"], value, point["timestamp"] / 1000)
        except (TypeError, ValueError) as error:
            raise DamagedRun(f"a value of the metric {point['key']!r} is no number ({error})") from error
    return run
