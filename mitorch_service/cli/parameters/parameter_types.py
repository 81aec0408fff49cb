"""Types of arguments and options that refuse what cannot be right, in our own words."""

from __future__ import annotations

import math
import os
import stat
from typing import Any

import click

_LONGEST_NAME = 255  # bytes, on every usual file system
_LONGEST_PATH = 4095


class WholeNumber(click.IntRange):
    """A whole number, of a range."""

    name = "whole number"


class Number(click.FloatRange):
    """A finite number, of a range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


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


def _special_kind(path: str) -> str | None:
    """The kind of a device, socket or pipe; None for everything else, and for a process's own streams."""
    if os.path.abspath(path).startswith(_STREAMS):  # noqa: PTH100 - without following links, which lead away from them
        return None
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116 - of any bytes
    except OSError:
        return None
    return _SPECIAL.get(kind)
