"""Reads runs of MLflow: from its SQLite file, or from its folder `mlruns`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mitorch_service.interop.foreign_run import FoundRun, ReadOptions
from mitorch_service.interop.foreign_sqlite import is_sqlite
from mitorch_service.interop.mlflow.mlflow_files import find_file_runs
from mitorch_service.interop.mlflow.mlflow_sqlite import find_sqlite_runs

EXPECTED = "a SQLite file (mlflow.db), a folder mlruns, or the folder that holds them"


def find_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs of a SQLite file, or of the files and folders in a folder. Deleted ones are left out."""
    if path.is_file():
        yield from find_sqlite_runs(path, options)
        return
    for file in sorted(path.glob("*.db")):
        if is_sqlite(file):
            yield from find_sqlite_runs(file, options)
    yield from find_file_runs(path, options)
