"""Reads runs of Neptune from what its clients keep: folders of version 1 (`.neptune`), files of neptune-scale."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import SYSTEM_POINT, DamagedRun, ForeignRun, FoundRun, ReadOptions, number
from mitorch_service.interop.neptune.neptune_fields import IGNORED, SYSTEM, change_tags, set_field
from mitorch_service.interop.neptune.neptune_scale import find_scale_runs

EXPECTED = "a folder .neptune, with folders run__* or files run_operations.sqlite3 below it, or one of these"

_RUN = re.compile(r"run__(?P<id>[0-9a-fA-F-]{36}|[^_]+(?:_[^_]+)*?)(?:__.*)?")
_ASSIGNED = ("AssignFloat", "AssignInt", "AssignBool", "AssignString", "AssignDatetime")


def find_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields the runs below the path. One that several processes wrote, or that was resumed, has a folder for each."""
    yield from find_scale_runs(path, options)
    runs: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("data-*.log"), key=lambda file: (str(file.parent), _file_number(file))):
        folders = (file.parent, *file.parent.parents)
        named = (match for folder in folders if (match := _RUN.fullmatch(folder.name)))
        found = next(named, None)
        if found is not None:
            runs.setdefault(found["id"], []).append(file)
    for id, files in runs.items():
        yield FoundRun(str(files[0].parent), id, partial(_read, id, files, options))


def _file_number(file: Path) -> int:
    digits = file.stem.removeprefix("data-")
    return int(digits) if digits.isdecimal() else 0


def _read(id: str, files: Sequence[Path], options: ReadOptions) -> ForeignRun:
    reader = _Reader(ForeignRun(id), options)
    for file in files:
        for entry in _entries(file):
            reader.read(entry)
    return reader.run


def _entries(file: Path) -> Iterator[Mapping[str, Any]]:
    """The operations in a file: JSON objects one after another. Ends at one that is cut off."""
    decoder = json.JSONDecoder()
    with file.open(encoding="utf-8", errors="replace") as lines:
        for count, line in enumerate(lines, 1):
            place = 0
            text = line.strip("\0 \r\n")
            while place < len(text):
                try:
                    entry, place = decoder.raw_decode(text, place)
                except ValueError as error:
                    if not line.endswith("\n"):
                        return
                    raise DamagedRun(f"line {count} of {file.name} is no JSON ({error})") from error
                if not isinstance(entry, dict) or not isinstance(entry.get("obj"), dict):
                    raise DamagedRun(f"line {count} of {file.name} is no operation of neptune")
                yield entry


class _Reader:
    """Makes the operations of a run one by one."""

    def __init__(self, run: ForeignRun, options: ReadOptions) -> None:
        self.run = run
        self._options = options
        self._points: Counter[str] = Counter()

    def read(self, entry: Mapping[str, Any]) -> None:
        operation = entry["obj"]
        path = [str(part) for part in operation.get("path", ())]
        if not path or path[0] in IGNORED:
            return
        self._see(entry.get("at"))
        kind = str(operation.get("type"))
        if kind == "LogFloats":
            self._log(path, operation.get("values", ()))
        elif path[0] == SYSTEM:
            return
        elif kind in _ASSIGNED:
            set_field(self.run, path, operation.get("value"))
        elif kind in ("AddStrings", "RemoveStrings"):
            texts = [str(one) for one in operation["values"]]
            change_tags(self.run, path, *((texts, []) if kind == "AddStrings" else ([], texts)))
        elif kind in ("ClearFloatLog", "DeleteAttribute"):
            self.run.curves.remove("/".join(path))
            self._points.pop("/".join(path), None)
            self.run.finals.pop("/".join(path), None)
        elif not kind.startswith(("Config", "Clear")):
            self.run.left_out[_word(kind)] += 1

    def _see(self, at: object) -> None:
        seconds = number(at)
        if seconds is None:
            return
        time = datetime.fromtimestamp(seconds, UTC)
        self.run.started_at = min(time, self.run.started_at or time)
        self.run.ended_at = max(time, self.run.ended_at or time)

    def _log(self, path: Sequence[str], values: Sequence[Mapping[str, Any]]) -> None:
        if path[0] == SYSTEM and not self._options.system_metrics:
            self.run.left_out[SYSTEM_POINT] += len(values)
            return
        name = "/".join(path) if path[0] != SYSTEM else f"system/{'/'.join(path[2:])}"
        for one in values:
            value, step, at = number(one.get("value")), number(one.get("step")), number(one.get("ts"))
            if value is None or at is None:
                raise DamagedRun(f"a point of {name!r} has no value or no time: {one!r:.60}")
            if step is None:
                step = self.run.curves.last_step if path[0] == SYSTEM else self._points[name]
            self._points[name] = int(step) + 1
            self.run.curves.add(name, step, value, at)


def _word(kind: str) -> str:
    """A word for what is not taken over."""
    return {"LogStrings": "text value", "LogImages": "image", "UploadFile": "file", "UploadFileContent": "file"}.get(
        kind, kind
    )
