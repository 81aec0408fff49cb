"""A run of another system, as its files tell it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from mitorch_service.interop.curves import Curves


class Ending(StrEnum):
    """How a run of another system ended."""

    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    OPEN = "open"  # it never reported its end: it still runs, or was killed


class DamagedRun(Exception):
    """A run whose files cannot be read. Never leaves the room: the import tells it and goes on with the next."""


class NothingLogged(DamagedRun):
    """A run that was begun and has neither a number nor a parameter."""


@dataclass
class ForeignRun:
    """One run with everything that is taken over from it."""

    id: str
    name: str | None = None
    project: str | None = None
    ending: Ending = Ending.FINISHED
    reason: str | None = None  # of a run that did not finish
    started_at: datetime | None = None
    ended_at: datetime | None = None
    parameters: dict[str, Any] = field(default_factory=dict)  # of JSON's types, may be nested
    curves: Curves = field(default_factory=Curves)
    finals: dict[str, float] = field(default_factory=dict)  # numbers without a curve, or other than its last
    tags: list[str] = field(default_factory=list)  # "key=value", or labels
    note: str | None = None
    user: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)  # kind ("image", "table") -> how many


@dataclass(frozen=True)
class FoundRun:
    """A run that has been found, and the function that reads it (which raises DamagedRun)."""

    place: str  # its file or folder
    key: str | None  # identifies it among the runs of its system, wherever its files are; None: it cannot be read
    read: Callable[[], ForeignRun]


SYSTEM_POINT = "system metric point"  # the kind of what is left out unless it is wanted


@dataclass(frozen=True)
class ReadOptions:
    """The choice of what is read."""

    system_metrics: bool = False  # of the machine: processor, memory, GPU


def number(value: object) -> float | None:
    """Returns the value as a float, None if it is no number. Text counts if it names one that JSON does not have."""
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    return _NOT_FINITE.get(value) if isinstance(value, str) else None


_NOT_FINITE: Mapping[str, float] = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested values by their path, ``train/loss``."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        found |= flat(value, f"{path}/") if isinstance(value, dict) and "_type" not in value else {path: value}
    return found


def set_nested(values: dict[str, Any], path: list[str], value: object) -> None:
    """Sets a value at a path of keys, in the place of whatever is on the way."""
    *steps, last = path
    for step in steps:
        if not isinstance(values.get(step), dict):
            values[step] = {}
        values = values[step]
    values[last] = value
