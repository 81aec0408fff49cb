"""The contract of a search: what is known of its trials goes in, the next points of its space come out.

Everything here is pure: no clock, no store. The same study and the same history give the same points, whoever asks.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from mitorch_service.search.space.expressions import Choice
from mitorch_service.search.space.size import point_with_number, size
from mitorch_service.search.space.space import Point, Space

RETRIES = 4  # of a sampler that proposed a point of a finite space that was tried


class TrialState(StrEnum):
    """What became of a trial, as a search sees it."""

    RUNNING = "running"  # created and not ended: its point is taken, its end is not known
    COMPLETED = "completed"
    PRUNED = "pruned"  # stopped early by the search, for good
    PAUSED = "paused"  # stopped early by the search, which may resume it
    FAILED = "failed"  # an error: counts as the worst value seen
    DIVERGED = "diverged"  # a loss that is not finite: counts as the worst value seen


@dataclass(frozen=True)
class TrialRecord:
    """One trial of the study, or of an earlier one that is given as a warm start (then with a negative number)."""

    number: int
    point: Point
    state: TrialState
    values: tuple[float, ...] = ()  # of a completed one: each objective at the end, as measured
    curve: Mapping[int, float] = field(default_factory=dict)  # epochs -> the best of the first objective up to them

    def is_open(self) -> bool:
        """Whether nothing is known of it but its point."""
        return self.state == TrialState.RUNNING and not self.curve


@dataclass(frozen=True)
class Study:
    """What is searched and how: does not change while the search runs."""

    space: Space
    seed: int
    max_trials: int
    directions: tuple[Literal["minimize", "maximize"], ...] = ("minimize",)
    enqueue: tuple[Mapping[str, Any], ...] = ()  # parameters of the first trials; missing ones are drawn
    initial_trials: int | None = None  # that must have ended before an algorithm learns; None: its own number

    def losses(self, values: Iterable[float]) -> tuple[float, ...]:
        """Objective values such that lower is better; what is not finite becomes infinite."""
        pairs = zip(values, self.directions, strict=False)
        signed = (value if direction == "minimize" else -value for value, direction in pairs)
        return tuple(value if math.isfinite(value) else math.inf for value in signed)


class History:
    """The trials of a study, those that run included; grows by what is suggested."""

    def __init__(self, study: Study, records: Iterable[TrialRecord] = ()) -> None:
        self.study = study
        self.records = sorted(records, key=lambda record: record.number)
        self.running = [record.point for record in self.records if record.is_open()]
        self.size = size(study.space)
        self.memory: dict[str, Any] = {}  # of what was computed from the records that are not open
        self._tried = {_key(record.point) for record in self.records} if self.size < math.inf else set()

    def add(self, number: int, point: Point) -> None:
        """A trial that runs from now on."""
        self.records.append(TrialRecord(number, point, TrialState.RUNNING))
        self.running.append(point)
        if self.size < math.inf:
            self._tried.add(_key(point))

    def is_tried(self, point: Point) -> bool:
        """Whether a finite space has had this point; never of an infinite one."""
        return _key(point) in self._tried

    def is_exhausted(self) -> bool:
        """Whether every point of a finite space was tried."""
        return len(self._tried) >= self.size

    def untried(self, start: int) -> Point:
        """The first point of a finite space that was not tried, from a place on and round about."""
        for place in range(start, start + int(self.size)):
            point = point_with_number(self.study.space, place % int(self.size))
            if _key(point) not in self._tried:
                break
        return point


class Sampler(ABC):
    """One algorithm, for one study. It may keep what is costly to compute, but its answers follow from the history."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @abstractmethod
    def propose(self, history: History, number: int, salt: int) -> Point:
        """A point for trial `number`; another one, as far as it can, for another `salt`."""


def suggest(sampler: Sampler, history: History, number: int) -> Point | None:
    """The point of trial `number`, which the history holds as running from now on. None: every point of a finite space
    was tried, the search has come to its end. No point of a finite space comes twice, but for enqueued ones."""
    point = _enqueued(sampler, history, number)
    if point is None:
        if history.is_exhausted():
            return None
        point = _untried(sampler, history, number)
    history.add(number, point)
    return point


def seed_of(study: Study, number: int, salt: int = 0) -> int:
    """32 bits for the generator of one trial."""
    text = f"{study.seed}/{number}/{salt}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _key(point: Point) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(point.items()))


def _enqueued(sampler: Sampler, history: History, number: int) -> Point | None:
    study = sampler.study
    if not 0 <= number < len(study.enqueue):
        return None
    whole = study.space.point_of(study.enqueue[number])
    if whole is not None:
        return whole
    proposed = sampler.propose(history, number, 0)
    return study.space.point_of(
        study.enqueue[number],
        lambda expression, name: proposed.get(name, 0 if isinstance(expression, Choice) else expression.from_unit(0.5)),
    )


def _untried(sampler: Sampler, history: History, number: int) -> Point:
    for salt in range(RETRIES if history.size < math.inf else 1):
        point = sampler.propose(history, number, salt)
        if not history.is_tried(point):
            return point
    return history.untried(seed_of(sampler.study, number))
