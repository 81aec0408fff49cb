"""The base of all benchmarks: figures as JSON lines, a step and its floor measured in turns, the clock of processes."""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

BARE_CLICK = "import click\n@click.command()\ndef c(): pass\nc()"
Unit = Literal["1/s", "ms"]
Round = Callable[[], float]  # does the thing some number of times; returns the seconds of the part that counts


@dataclass(frozen=True)
class Scale:
    """The store and the size that the figures of a run refer to."""

    store: str
    n: int
    repeats: int


def report(name: str, value: float, unit: str, floor: float | None = None, scale: Scale | None = None) -> None:
    """Prints one figure. `ratio` is value / floor: of a rate, more is better; of a time, less."""
    line: dict[str, Any] = {"name": name}
    if scale is not None:
        line |= {"store": scale.store, "n": scale.n}
    line |= {"value": _digits(value), "unit": unit}
    if floor is not None:
        line |= {"floor": _digits(floor), "ratio": round(value / floor, 2)}
    print(json.dumps(line), flush=True)


def compare(name: str, scale: Scale, ours: Round, floor: Round, unit: Unit, count: int = 1) -> None:
    """Reports the medians of both, each round doing the thing `count` times."""
    seconds = in_turns({"ours": ours, "floor": floor}, scale.repeats)
    value, least = (_in(unit, seconds[which], count) for which in ("ours", "floor"))
    report(name, value, unit, least, scale)


def in_turns(rounds: Mapping[str, Round], repeats: int) -> dict[str, float]:
    """The median seconds of each, one round of every one after the other; the first of each warms up only."""
    seconds: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(repeats + 1):
        for name, step in rounds.items():
            gc.collect()
            seconds[name].append(step())
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def timed(step: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def repeated(step: Callable[[], object], count: int) -> Round:
    """A round that does the same thing `count` times."""
    return lambda: timed(lambda: [step() for _ in range(count)])


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def seconds_of(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds of a whole process. Raises CalledProcessError."""
    return timed(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))


def clean_environment() -> dict[str, str]:
    """This process's, with byte code written and none of our settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MITORCH_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that the benchmarks on a filled database share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("sqlite", "mongo"), default="sqlite")
    parser.add_argument("--n", type=int, default=1000, help="queued trainings, and as many finished ones")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of which the median is taken")
    parser.add_argument("--keep", metavar="DIR", help="keep the filled database, noted in this folder, for the next")
    parser.add_argument("--only", metavar="TEXT", default="", help="figures whose name has this in it")
    return parser


def _in(unit: Unit, seconds: float, count: int) -> float:
    return count / seconds if unit == "1/s" else seconds / count * 1000


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
