"""Types of arguments and options that refuse what cannot be right, in our own words."""

from __future__ import annotations

import math
import os
import re
import stat
from typing import Any

import click

_LONGEST_NAME = 255  # bytes, on every usual file system
_LONGEST_PATH = 4095
_URL = re.compile(r"(?:https?|abfss?|wasbs?|s3|gs)://", re.IGNORECASE)


class WholeNumber(click.IntRange):
    """A whole number, of a range."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"must be a whole number (it is {value!r})", param, ctx)
        if problem := _range_problem(self, number):
            self.fail(problem, param, ctx)
        return number


class Number(click.FloatRange):
    """A finite number, of a range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"must be a number (it is {value!r})", param, ctx)
        if not math.isfinite(number):
            self.fail(f"must be a finite number (it is {value!r})", param, ctx)
        if problem := _range_problem(self, number):
            self.fail(problem, param, ctx)
        return number


def _range_problem(range: click.IntRange | click.FloatRange, number: float) -> str | None:
    """The limits, in the words in which those of configs are told; None for a number within them."""
    least, most = range.min, range.max
    if (least is None or number > least or (number == least and not range.min_open)) and (
        most is None or number < most or (number == most and not range.max_open)
    ):
        return None
    limits = [] if least is None else [f"more than {least:.10g}" if range.min_open else f"{least:.10g} or more"]
    limits += [] if most is None else [f"less than {most:.10g}" if range.max_open else f"{most:.10g} or less"]
    return f"must be {' and '.join(limits)} (it is {number})"


class Word(click.Choice[str]):
    """One of some words; the error names the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words = [str(choice) for choice in self.choices]
        if value not in words:
            from mitorch_service.wording.suggestion import did_you_mean

            self.fail(f"{value!r} is not known; {did_you_mean(str(value), words)}known: {', '.join(words)}", param, ctx)
        return str(value)


_STREAMS = ("/dev/null", "/dev/std", "/dev/tty", "/dev/fd/", "/proc/")
_SPECIAL = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


class FilePath(click.Path):
    """A path that a file system can hold, to no device and no named pipe: they never end, or block for ever. Streams
    of the process, and what a shell puts in their place (``<(…)``), may be named."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = os.fsencode(value)
        if b"\0" in path:
            self.fail(f"{value!r} contains the character NUL.", param, ctx)
        if len(path) > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in path.split(b"/")):
            shown = os.fsdecode(path[:40])
            self.fail(f"{shown!r}… is too long: {_LONGEST_NAME} bytes a name, {_LONGEST_PATH} in all.", param, ctx)
        if (kind := _special_kind(os.fsdecode(path))) is not None:
            self.fail(f"{value} is {kind}, not a file or folder.", param, ctx)
        return super().convert(value, param, ctx)


class DataPath(FilePath):
    """The path of a data set on this machine. A URL is told that it is for the service."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and _URL.match(value):
            shown = value.partition("?")[0]  # without the token behind it
            remedy = "register it (midataset register) and queue the config with misubmit, or download its files"
            self.fail(f"{shown} is a URL, which only trainings of the service read: {remedy}.", param, ctx)
        return super().convert(value, param, ctx)


def _special_kind(path: str) -> str | None:
    """The kind of a device, socket or pipe; None for everything else, and for a process's own streams."""
    if os.path.abspath(path).startswith(_STREAMS):  # noqa: PTH100 - without following links, which lead away from them
        return None
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116 - of any bytes
    except OSError:
        return None
    return _SPECIAL.get(kind)
