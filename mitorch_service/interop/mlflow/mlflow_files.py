"""Reads runs of MLflow from the folders of its file store: `mlruns/EXPERIMENT/RUN/`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import SYSTEM_POINT, DamagedRun, ForeignRun, FoundRun, ReadOptions
from mitorch_service.interop.mlflow.mlflow_fields import SYSTEM_PREFIX, parameter, set_status, set_tag, time_of
from mitorch_service.interop.yaml_file import read_yaml

_META = "meta.yaml"
_DEEPEST = 3  # folders between the path and a run: mlruns, experiment, run
_STATUS: dict[object, str] = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_ID_LENGTH = 32
_TRASH = ".trash"


def find_file_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs in the path, which is a run, an experiment, a folder `mlruns` or the one that holds it."""
    project = lru_cache(_project)
    for depth in range(_DEEPEST + 1):
        for meta in sorted(path.glob("*/" * depth + _META)):
            folder = meta.parent
            if len(folder.name) == _ID_LENGTH and folder.parent.name != _TRASH and not _is_deleted(meta):
                yield FoundRun(str(folder), folder.name, partial(_read, folder, project, options))


def _is_deleted(meta: Path) -> bool:
    try:
        return "lifecycle_stage: deleted" in meta.read_text("utf-8")
    except (OSError, ValueError):
        return False  # reading it tells why


def _read(folder: Path, project: Any, options: ReadOptions) -> ForeignRun:
    meta = read_yaml(folder / _META)
    if not isinstance(meta, dict) or not meta.get("run_id", meta.get("run_uuid")):
        raise DamagedRun(f"{_META} has no run_id")
    run = ForeignRun(folder.name, meta.get("run_name") or None, project(folder.parent), user=meta.get("user_id"))
    set_status(run, _STATUS.get(meta.get("status"), str(meta.get("status"))))
    run.started_at, run.ended_at = time_of(meta.get("start_time")), time_of(meta.get("end_time"))
    for name, file in _entries(folder / "tags"):
        set_tag(run, name, file.read_text("utf-8", "replace"))
    for name, file in _entries(folder / "params"):
        run.parameters[name] = parameter(file.read_text("utf-8", "replace"))
    for name, file in _entries(folder / "metrics"):
        if name.startswith(SYSTEM_PREFIX) and not options.system_metrics:
            run.left_out[SYSTEM_POINT] += _count_lines(file)
        else:
            _read_metric(run, name, file)
    return run


def _project(folder: Path) -> str | None:
    """The name of an experiment."""
    try:
        meta = read_yaml(folder / _META)
    except (DamagedRun, OSError):
        return None
    name = meta.get("name") if isinstance(meta, dict) else None
    return str(name) if name else None


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder, by the names that they stand for."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def _count_lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)


def _read_metric(run: ForeignRun, name: str, file: Path) -> None:
    """Each line: milliseconds, value and step, which old versions lack."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            words = line.split()
            try:
                step = int(words[2]) if len(words) > 2 else 0
                run.curves.add(name, step, float(words[1]), int(words[0]) / 1000)
            except (ValueError, IndexError) as error:
                if not line.endswith("\n"):
                    return  # the run was killed while it wrote this one
                raise DamagedRun(f"line {number} of the metric {name!r} is none of mlflow's: {line[:60]!r}") from error
