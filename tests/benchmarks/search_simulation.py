"""Searches with simulated trials and a simulated clock: workers that run side by side and end at different times.

`Simulated` is all that the measurements know of a search: a trial begins, shows its value after each epoch, and ends.
"""

from __future__ import annotations

import heapq
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mitorch_service.models.search.objectives import Direction
from mitorch_service.search.base import History, Study, TrialRecord, TrialState, suggest
from mitorch_service.search.samplers.registry import sampler
from mitorch_service.search.space.space import parse_space
from tests.benchmarks.search_functions import Digits

Ways = Direction | tuple[Direction, ...]
MOST_EPOCHS = 6000


@dataclass(frozen=True)
class Settings:
    """The search to simulate, and its number of workers."""

    space: dict[str, Any]
    seed: int
    parallel: int
    max_trials: int
    ways: Ways = "minimize"
    max_epochs: int = 1
    stopping: str = "none"  # the rule of early stopping

    @property
    def directions(self) -> Sequence[Direction]:
        """One for each objective."""
        return (self.ways,) if isinstance(self.ways, str) else self.ways


class Simulated(ABC):
    """A search whose trials somebody else runs."""

    @abstractmethod
    def begin(self) -> tuple[int, dict[str, Any]]:
        """The next trial's number and config."""

    @abstractmethod
    def epoch_ended(self, number: int, epoch: int, value: float) -> bool:
        """A running trial's value after an epoch; whether the trial ends early, with this epoch."""

    @abstractmethod
    def end(self, number: int, value: float | tuple[float, ...], pruned: bool = False) -> None:
        """A trial's value at its end; of several objectives each."""


def regret_after(search: Simulated, function: Any, trials: int, parallel: int, seed: int) -> float:
    """The least regret of so many trials, of which `parallel` run at a time and take nearly the same time."""
    clock, running, best = random.Random(seed), list[tuple[float, int, float]](), float("inf")
    for begun in range(trials):
        now = 0.0
        if begun >= parallel:
            now, number, regret = heapq.heappop(running)
            search.end(number, regret)
        number, config = search.begin()
        regret = function.regret(config)
        best = min(best, regret)
        heapq.heappush(running, (now + clock.uniform(0.9, 1.1), number, regret))
    return best


def epochs_to_target(search: Simulated, digits: Digits, parallel: int, seed: int) -> int:
    """Epochs run by all workers until one trial shows the target; MOST_EPOCHS if none does."""
    clock = random.Random(seed)
    running: list[tuple[float, int, int, list[float]]] = []  # when its next epoch ends, trial, epochs so far, curve

    def begin(now: float) -> None:
        number, config = search.begin()
        heapq.heappush(running, (now + clock.uniform(0.9, 1.1), number, 0, digits.accuracies(config)))

    for _ in range(parallel):
        begin(0.0)
    for spent in range(1, MOST_EPOCHS):
        now, number, epoch, curve = heapq.heappop(running)
        value, epoch = curve[epoch], epoch + 1
        if value >= digits.target:
            return spent
        stopped = search.epoch_ended(number, epoch, value)
        if stopped or epoch == digits.max_epochs:
            search.end(number, value, stopped)
            begin(now)
        else:
            heapq.heappush(running, (now + clock.uniform(0.9, 1.1), number, epoch, curve))
    return MOST_EPOCHS


def suggestion_milliseconds(algorithm: str, finished: int, count: int = 20) -> dict[str, float]:
    """The first suggestion of a pass, with the making of its history; and the mean of a pass of `count`."""
    space, _ = parse_space(
        {
            "lr": {"_loguniform": [1e-5, 1]},
            **{f"x{i}": {"_uniform": [0, 1]} for i in range(4)},
            "c": {"_choice": ["a", "b", "c"]},
        }
    )
    study = Study(space, 0, finished + count)
    drawn = sampler("random", study)
    empty, noise = History(study), random.Random(0)
    points = [drawn.propose(empty, number, 0) for number in range(finished)]
    records = [TrialRecord(n, point, TrialState.COMPLETED, (noise.random(),)) for n, point in enumerate(points)]
    asked = sampler(algorithm, study)
    suggest(asked, History(study, records[:50]), 50)  # imports
    times = [time.perf_counter()]
    history = History(study, records)
    for number in range(finished, finished + count):
        suggest(asked, history, number)
        times.append(time.perf_counter())
    return {"first": round(1e3 * (times[1] - times[0]), 2), "mean": round(1e3 * (times[-1] - times[0]) / count, 2)}
