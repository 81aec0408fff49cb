"""Reads runs of Weights & Biases from the folders that it keeps them in, synced or not: `wandb/*run-*/run-ID.wandb`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import (
    SYSTEM_POINT,
    DamagedRun,
    Ending,
    ForeignRun,
    FoundRun,
    ReadOptions,
    flat,
    number,
    set_nested,
)
from mitorch_service.interop.protobuf import Value, double, fields, inner, text, whole, zigzag
from mitorch_service.interop.wandb.wandb_log import read_records

EXPECTED = "a folder with files run-*.wandb below it (such as wandb/), or one of these files"

# The numbers of the fields, from wandb/proto/wandb_internal.proto. Those of a record:
_HISTORY, _SUMMARY, _CONFIG, _STATS, _RUN, _EXIT = 2, 3, 5, 7, 17, 18
_ITEM_KEY, _ITEM_NESTED_KEY, _ITEM_JSON = 1, 2, 16
_INTERRUPTED = 255  # the exit code after Ctrl-C
_RUN_WITHIN = 20  # records


def find_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs below the path. A run that was resumed has a file for each time: they are one."""
    files = [path] if path.is_file() else sorted(path.rglob("run-*.wandb"), key=lambda file: file.parent.name)
    same: dict[str, list[Path]] = {}
    for file in files:
        try:
            same.setdefault(_key(file), []).append(file)
        except (DamagedRun, OSError, ValueError) as error:
            yield FoundRun(str(file), None, partial(_refuse, str(error)))
    for key, parts in same.items():
        yield FoundRun(str(parts[0]), key, partial(_read, parts, options))


def _key(file: Path) -> str:
    for count, record in enumerate(read_records(file)):
        for kind, value in fields(record):
            if kind == _RUN:
                run = dict(fields(inner(value)))
                return "/".join(text(run.get(number, b"")) for number in (2, 3, 1))  # entity, project, id
        if count == _RUN_WITHIN:
            break
    raise DamagedRun(f"{file.name} does not say which run it is of")


def _refuse(reason: str) -> ForeignRun:
    raise DamagedRun(reason)


def _read(files: Sequence[Path], options: ReadOptions) -> ForeignRun:
    run = ForeignRun("")
    reader = _Reader(run, options)
    for file in files:
        run.ending, run.reason = Ending.OPEN, f"{file.name} has no end: the run was killed, or is still running"
        for record in read_records(file):
            reader.read(record)
    run.finals = {name: value for name, value in _numbers(reader.summary) if not name.startswith("_")}
    run.parameters = {name: value for name, value in reader.config.items() if name != "_wandb"}
    return run


class _Reader:
    """Reads the records of a run one by one."""

    def __init__(self, run: ForeignRun, options: ReadOptions) -> None:
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self._run = run
        self._options = options
        self._now = math.nan

    def read(self, record: bytes) -> None:
        for kind, value in fields(record):
            if kind == _HISTORY:
                self._read_history(inner(value))
            elif kind == _SUMMARY:
                _update(self.summary, inner(value))
            elif kind == _CONFIG:
                _update(self.config, inner(value))
            elif kind == _STATS:
                self._read_stats(inner(value))
            elif kind == _RUN:
                self._read_run(inner(value))
            elif kind == _EXIT:
                self._read_exit(inner(value))

    def _read_run(self, message: bytes) -> None:
        run = self._run
        for kind, value in fields(message):
            if kind == 1:
                run.id = text(value)
            elif kind == 3:
                run.project = text(value) or None
            elif kind == 4:
                _update(self.config, inner(value))
            elif kind in (6, 7) and text(value):
                run.tags.append(f"{'group' if kind == 6 else 'job_type'}={text(value)}")
            elif kind == 8:
                run.name = text(value)
            elif kind == 9:
                run.note = text(value)
            elif kind == 10:
                run.tags.append(text(value))
            elif kind == 17 and run.started_at is None:
                run.started_at = datetime.fromtimestamp(_timestamp(inner(value)), UTC)

    def _read_history(self, message: bytes) -> None:
        found: dict[str, Any] = {}
        step = None
        for kind, value in fields(message):
            if kind == 1:
                path, item = _item(inner(value))
                set_nested(found, path, item)
            elif kind == 2:
                step = whole(dict(fields(inner(value))).get(1, 0))
        if step is None:
            step = int(found.get("_step", 0))
        self._now = number(found.get("_timestamp")) or math.nan
        self._run.ended_at = _latest(self._run.ended_at, self._now)
        for name, item in flat(found).items():
            if name in ("_step", "_timestamp", "_runtime") or name.startswith("_wandb/"):
                continue
            figure = number(item)
            if figure is not None:
                self._run.curves.add(name, step, figure, self._now)
            elif item is not None:
                self._run.left_out[_kind_of(item)] += 1

    def _read_stats(self, message: bytes) -> None:
        for kind, value in fields(message):
            if kind != 3:
                continue
            if not self._options.system_metrics:
                self._run.left_out[SYSTEM_POINT] += 1
                continue
            path, item = _item(inner(value))
            measured = number(item)
            if measured is not None:
                curves = self._run.curves
                curves.add(f"system/{'/'.join(path)}", curves.last_step, measured, self._now)

    def _read_exit(self, message: bytes) -> None:
        code = whole(dict(fields(message)).get(1, 0))
        ending = Ending.FINISHED if code == 0 else Ending.KILLED if code == _INTERRUPTED else Ending.FAILED
        self._run.ending, self._run.reason = ending, None if code == 0 else f"exit code {code}"
        seconds = whole(dict(fields(message)).get(2, 0))
        if self._run.ended_at is None and self._run.started_at is not None:
            self._run.ended_at = datetime.fromtimestamp(self._run.started_at.timestamp() + seconds, UTC)


def _update(values: dict[str, Any], message: bytes) -> None:
    """Makes the changes of a record of the config or the summary."""
    for kind, value in fields(message):
        if kind == 1:
            path, item = _item(inner(value))
            set_nested(values, path, item)
        elif kind == 2:
            path, _ = _item(inner(value))
            values.pop("/".join(path), None)


def _item(message: bytes) -> tuple[list[str], Any]:
    """The path and the value of an item."""
    key, nested = "", []
    item: Any = None
    for kind, value in fields(message):
        if kind == _ITEM_KEY:
            key = text(value)
        elif kind == _ITEM_NESTED_KEY:
            nested.append(text(value))
        elif kind == _ITEM_JSON:
            item = json.loads(text(value))
        else:
            item = _typed(kind, value, item)
    return nested or [key], item


def _typed(kind: int, value: Value, otherwise: Any) -> Any:
    """A value of a history in one of the forms that newer versions write."""
    match kind:
        case 4:
            return bool(value)
        case 5:
            return zigzag(value)
        case 6:
            return double(value)
        case 7:
            return text(value)
        case 8:
            return json.loads(text(value))
    return otherwise


def _timestamp(message: bytes) -> float:
    parts = dict(fields(message))
    return whole(parts.get(1, 0)) + whole(parts.get(2, 0)) / 1e9


def _latest(before: datetime | None, seconds: float) -> datetime | None:
    if math.isnan(seconds):
        return before
    at = datetime.fromtimestamp(seconds, UTC)
    return at if before is None else max(before, at)


def _numbers(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, item in flat(values).items():
        value = number(item)
        if value is not None:
            yield name, value


def _kind_of(item: Any) -> str:
    """A word for what is no number: an image, a table, a histogram."""
    kind = item.get("_type") if isinstance(item, dict) else None
    return str(kind).removesuffix("-file") if kind else "list" if isinstance(item, list) else "text value"
