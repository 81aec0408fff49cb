"""The contract of a search: the history of its trials goes in, the next points of its space come out.

Everything here is pure: no clock, no store. The same study and the same history give the same points.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.size import point_with_number, size
from mitorch_service.search.space.space import Point, Space

_LARGEST = 1e50  # a loss that is used as it is
RETRIES = 4  # of a sampler that proposed a point of a finite space that was tried before


class TrialState(StrEnum):
    """The state of a trial in a search."""

    RUNNING = "running"  # created and not ended: its point is taken, its values are not known
    COMPLETED = "completed"
    PRUNED = "pruned"  # stopped early by the search, for good
    PAUSED = "paused"  # stopped early by the search, which may resume it
    FAILED = "failed"  # with an error: counts as the worst value seen
    DIVERGED = "diverged"  # to a loss that is not finite: counts as the worst value seen


@dataclass(frozen=True)
class TrialRecord:
    """A trial of the study, or of an earlier one given as a warm start (then with a negative number)."""

    number: int
    point: Point
    state: TrialState
    values: tuple[float, ...] = ()  # of a completed trial: each objective at the end, as measured
    curve: Mapping[int, float] = field(default_factory=dict)  # epochs -> best of the first objective until then

    def is_open(self) -> bool:
        """Whether only its point is known."""
        return self.state == TrialState.RUNNING and not self.curve


@dataclass(frozen=True)
class Study:
    """The space of a search and its settings, which do not change while it runs."""

    space: Space
    seed: int
    max_trials: int
    directions: tuple[Literal["minimize", "maximize"], ...] = ("minimize",)
    enqueue: tuple[Mapping[str, object], ...] = ()  # parameters of the first trials; missing ones are sampled
    initial_trials: int | None = None  # that must have ended before a sampler uses its model; None: its own default

    def losses(self, values: Iterable[float]) -> tuple[float, ...]:
        """Returns one loss for each objective (lower is better); infinity for a value that is not finite. Losses beyond
        1e50, such as penalties, grow with their logarithm only, so that models can square and multiply them."""
        pairs = zip(values, self.directions, strict=False)
        signed = (value if direction == "minimize" else -value for value, direction in pairs)
        return tuple(_bounded(value) if math.isfinite(value) else math.inf for value in signed)


class History:
    """The trials of a study, running ones included, by number; each suggestion is added."""

    def __init__(self, study: Study, records: Iterable[TrialRecord] = ()) -> None:
        self.study = study
        self.records = sorted(records, key=lambda record: record.number)
        self.running = [record.point for record in self.records if record.is_open()]
        self.size = size(study.space)
        self.memory: dict[str, Any] = {}  # cache of what was computed from records that are not open
        self._tried = {_key(record.point) for record in self.records} if self.size < math.inf else set()

    def add(self, number: int, point: Point) -> None:
        """Adds a running trial."""
        self.records.append(TrialRecord(number, point, TrialState.RUNNING))
        self.running.append(point)
        if self.size < math.inf:
            self._tried.add(_key(point))

    def is_tried(self, point: Point) -> bool:
        """Whether a trial has this point; always False in an infinite space."""
        return _key(point) in self._tried

    def is_exhausted(self) -> bool:
        """Whether each point of a finite space has a trial."""
        return len(self._tried) >= self.size

    def untried(self, start: int) -> Point:
        """Returns the first point of a finite space without a trial, counted from number `start`, cyclically."""
        for number in range(start, start + int(self.size)):
            point = point_with_number(self.study.space, number % int(self.size))
            if _key(point) not in self._tried:
                break
        return point


class Sampler(ABC):
    """A search algorithm for one study. It may cache results; its points follow from study and history alone."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @abstractmethod
    def propose(self, history: History, number: int, salt: int) -> Point:
        """Returns a point for trial `number`; another one, if possible, for another `salt`."""


def suggest(sampler: Sampler, history: History, number: int) -> Point | None:
    """Returns the point of trial `number`, and adds it to the history as running. No point of a finite space is reused,
    except by enqueued parameters; None once each has a trial, which ends the search."""
    point = _enqueued(sampler, history, number)
    if point is None:
        if history.is_exhausted():
            return None
        point = _untried(sampler, history, number)
    history.add(number, point)
    return point


def seed_of(study: Study, number: int, salt: int = 0) -> int:
    """Returns a seed of 32 bits for the random numbers of one trial."""
    text = f"{study.seed}/{number}/{salt}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _bounded(loss: float) -> float:
    """The same order, within ±3e52: the product of five such losses, as of a hypervolume, is finite."""
    if abs(loss) <= _LARGEST:
        return loss
    return math.copysign(_LARGEST * (1 + math.log10(abs(loss) / _LARGEST)), loss)


def _key(point: Point) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(point.items()))


def _enqueued(sampler: Sampler, history: History, number: int) -> Point | None:
    study = sampler.study
    if not 0 <= number < len(study.enqueue):
        return None
    whole = study.space.point_of(study.enqueue[number])
    if whole is not None:
        return whole
    keys, proposed = study.space.keys, study.space.by_key(sampler.propose(history, number, 0))

    def draw(expression: Choice | Range, _: str) -> float:
        middle = 0 if isinstance(expression, Choice) else expression.from_unit(0.5)
        return proposed.get(keys[id(expression)], middle)

    return study.space.point_of(study.enqueue[number], draw)


def _untried(sampler: Sampler, history: History, number: int) -> Point:
    for salt in range(RETRIES if history.size < math.inf else 1):
        point = sampler.propose(history, number, salt)
        if not history.is_tried(point):
            return point
    return history.untried(seed_of(sampler.study, number))
