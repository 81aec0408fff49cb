"""The curves of a run: points by step, of several metrics, made into the rows of one table."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mitorch_service.models.imported import Axis

MAX_POINTS = 100_000  # rows of a training
MOST_HELD = 20_000  # points of a curve in memory; of more, the last in each interval of steps is kept
_LAST_EPOCH = 999_998


@dataclass
class Row:
    """One row: the last value of each metric until its step."""

    number: int  # counted from 1
    step: float
    at: float  # seconds since 1970; NaN if it is not known
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """The rows of a run, and what they do not hold."""

    axis: Axis
    rows: Sequence[Row]
    points: int  # that the run logged
    kept: int  # that the rows hold
    epochs: str | None = None  # the metric that told the epochs, which is not in the rows

    @property
    def left_out(self) -> int:
        return self.points - self.kept


class Curve:
    """The points of one metric in the order in which they were logged."""

    __slots__ = ("logged", "steps", "times", "values", "width")

    def __init__(self) -> None:
        self.steps, self.values, self.times = array("d"), array("d"), array("d")
        self.logged = 0
        self.width = 0.0  # of the intervals of steps; 0: every point is held

    def add(self, step: float, value: float, at: float) -> None:
        """Adds a point. Holds at most `MOST_HELD`: the intervals become twice as wide when they are too many."""
        self.logged += 1
        if self.steps and (
            self.steps[-1] == step or (self.width and self.steps[-1] // self.width == step // self.width)
        ):
            self.steps[-1], self.values[-1], self.times[-1] = step, value, at
            return
        self.steps.append(step)
        self.values.append(value)
        self.times.append(at)
        if len(self.steps) > MOST_HELD:
            self._halve()

    def drop_from(self, step: float) -> None:
        """Takes away the points at this step and behind it."""
        points = [point for point in self.ordered() if point[0] < step]
        self.logged -= len(self.steps) - len(points)
        columns = zip(*points, strict=True) if points else ((), (), ())
        self.steps, self.values, self.times = (array("d", column) for column in columns)

    def ordered(self) -> Iterator[tuple[float, float, float]]:
        """Yields step, value and time by step; of one step in the order in which they were logged."""
        points = zip(self.steps, self.values, self.times, strict=True)
        if all(a <= b for a, b in pairwise(self.steps)):
            return iter(points)
        return iter(sorted(points, key=lambda point: point[0]))

    def last(self) -> float:
        """Returns the value at the highest step."""
        *_, (_, value, _) = self.ordered()
        return value

    def _halve(self) -> None:
        points = list(self.ordered())
        span = points[-1][0] - points[0][0]
        while len(points) > MOST_HELD // 2:
            self.width = self.width * 2 or span / MOST_HELD or 1.0
            last = {point[0] // self.width: point for point in points}
            points = list(last.values())
        self.steps, self.values, self.times = (array("d", column) for column in zip(*points, strict=True))


class Curves:
    """The curves of one run."""

    def __init__(self) -> None:
        self._curves: dict[str, Curve] = {}
        self.last_step = 0.0

    def __iter__(self) -> Iterator[str]:
        return iter(self._curves)

    def __len__(self) -> int:
        return len(self._curves)

    def __getitem__(self, name: str) -> Curve:
        return self._curves[name]

    def add(self, name: str, step: float, value: float, at: float = math.nan) -> None:
        """Adds a point. `at`: seconds since 1970. Raises ValueError for a step that is not finite."""
        if not math.isfinite(step):
            raise ValueError(f"{name!r} has a point at the step {step}")
        curve = self._curves.get(name)
        if curve is None:
            curve = self._curves[name] = Curve()
        curve.add(step, value, at)
        self.last_step = step

    def remove(self, name: str) -> None:
        """Takes a curve away, if it is there."""
        self._curves.pop(name, None)

    def drop_from(self, step: float) -> None:
        """Takes away all points at this step and behind it: the run was resumed before them."""
        for name, curve in list(self._curves.items()):
            curve.drop_from(step)
            if not curve.steps:
                del self._curves[name]

    def rows(self, points: int, axis: Axis | None = None) -> Rows:
        """Makes the rows: one for each epoch where the run logged its epoch as a whole number, else one for each step,
        and at most `points`: of more, one for each of as many intervals with the same number of steps.

        `axis`: wanted in place of that choice; epochs fall back to steps where none are logged.
        """
        epochs = None if axis == "step" else self._epochs()
        kept = {name: curve for name, curve in self._curves.items() if epochs is None or name != epochs.name}
        steps = {step for curve in kept.values() for step in curve.steps}
        keys = {step: step if epochs is None else epochs.at(step) for step in steps}
        order = sorted(set(keys.values()))
        row_of = {key: rank * min(points, len(order)) // len(order) for rank, key in enumerate(order)}
        rows: dict[int, Row] = {}
        for name, curve in kept.items():
            for step, value, at in curve.ordered():
                key = keys[step]
                rank = row_of[key]
                row = rows.get(rank)
                if row is None:
                    row = rows[rank] = Row(rank + 1, step, at)
                row.values[name] = value
                row.step = max(row.step, step)
                row.at = at if not row.at >= at else row.at
                if epochs is not None:
                    row.number = max(row.number, int(key))
        table = [rows[rank] for rank in sorted(rows)]
        logged, held = sum(curve.logged for curve in kept.values()), sum(len(row.values) for row in table)
        return Rows("step", table, logged, held) if epochs is None else Rows("epoch", table, logged, held, epochs.name)

    def _epochs(self) -> _Epochs | None:
        """The curve that tells the epoch of each step, if there is one that does."""
        named = [name for name in self._curves if name.lower() == "epoch"]
        named += [name for name in self._curves if name.lower().endswith("/epoch")]
        for name in named:
            points = list(self._curves[name].ordered())
            values = [value for _, value, _ in points]
            if (
                len(set(values)) > 1
                and all(0 <= value <= _LAST_EPOCH and value == int(value) for value in values)
                and all(a <= b for a, b in pairwise(values))
            ):
                return _Epochs(name, [step for step, _, _ in points], values)
        return None


class _Epochs:
    """The epoch of each step, counted from 1: by the next step at which one was logged, as most log it at its end."""

    def __init__(self, name: str, steps: Sequence[float], epochs: Sequence[float]) -> None:
        self.name = name
        self._steps = steps
        self._epochs = epochs
        self._first = 1 if epochs[0] == 0 else 0

    def at(self, step: float) -> float:
        place = min(bisect_left(self._steps, step), len(self._steps) - 1)
        return self._epochs[place] + self._first
