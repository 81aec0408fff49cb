"""Searches with simulated trials and a simulated clock: workers that run side by side and end at different times.

The seam: `Simulated` is all that the measurements know of a search (begin a trial, tell what became of it). `Ours`
drives the pure contract of `mitorch_service.search`; the controller's expansion takes its place once it suggests by
history.
"""

from __future__ import annotations

import heapq
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mitorch_service.models.objectives import Direction
from mitorch_service.search.algorithms import sampler
from mitorch_service.search.base import History, Study, TrialRecord, TrialState, suggest
from mitorch_service.search.space import parse_space
from mitorch_service.search.stopping.base import Standing, Stopper
from mitorch_service.search.stopping.rules import stopper as make_stopper
from tests.benchmarks.search_functions import Digits

Ways = Direction | tuple[Direction, ...]
MOST_EPOCHS = 6000
MOST_TRIALS = 10_000


class Simulated(ABC):
    """A search whose trials somebody else runs."""

    @abstractmethod
    def begin(self) -> tuple[int, dict[str, Any]]:
        """The next trial's number and config."""

    @abstractmethod
    def report(self, number: int, epochs: int, value: float) -> None:
        """A running trial's value after so many epochs."""

    @abstractmethod
    def end(self, number: int, value: float | tuple[float, ...], pruned: bool = False) -> None:
        """A trial's value at its end; of several objectives each."""

    def stops(self, number: int) -> bool | None:
        """Whether its own rule stops the trial that just reported; None: it has none, take ours."""
        return None

    @staticmethod
    def ours(algorithm: str) -> Callable[[dict[str, Any], int, Ways], Simulated]:
        """Makes searches of ours: space, seed, direction (or several) -> search."""
        return lambda space, seed, direction: Ours(algorithm, space, seed, direction)


class Ours(Simulated):
    """History in, suggestions out: each one is asked of a history made anew, as each pass of a controller does."""

    def __init__(self, algorithm: str, space: dict[str, Any], seed: int, direction: Ways) -> None:
        parsed, _ = parse_space(space)
        ways = direction if isinstance(direction, tuple) else (direction,)
        self.study = Study(parsed, seed, MOST_TRIALS, ways)
        self._sampler = sampler(algorithm, self.study)
        self._records: dict[int, TrialRecord] = {}

    def begin(self) -> tuple[int, dict[str, Any]]:
        number = len(self._records)
        point = suggest(self._sampler, History(self.study, self._records.values()), number)
        assert point is not None
        self._records[number] = TrialRecord(number, point, TrialState.RUNNING)
        return number, self.study.space.at(point)[0]

    def report(self, number: int, epochs: int, value: float) -> None:
        record = self._records[number]
        curve = {**record.curve, epochs: value}
        self._records[number] = TrialRecord(number, record.point, TrialState.RUNNING, (), curve)

    def end(self, number: int, value: float | tuple[float, ...], pruned: bool = False) -> None:
        state = TrialState.PRUNED if pruned else TrialState.COMPLETED
        record, values = self._records[number], value if isinstance(value, tuple) else (value,)
        self._records[number] = TrialRecord(number, record.point, state, () if pruned else values, record.curve)


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


@dataclass
class Run:
    """One trial while it runs."""

    number: int
    values: list[float]
    losses: list[float] = field(default_factory=list)


def epochs_to_target(search: Simulated, digits: Digits, stopping: str, parallel: int, seed: int) -> int:
    """Epochs run by all workers until one trial shows the target; MOST_EPOCHS if none does."""
    clock, spent = random.Random(seed), 0
    stopper = None if stopping == "none" else make_stopper(stopping, digits.max_epochs)
    rungs: dict[tuple[int, int], list[float]] = {}
    running: list[tuple[float, int, Run]] = []
    observed = stopper.observed_epochs(digits.max_epochs) if stopper else []

    def begin(now: float) -> None:
        number, config = search.begin()
        heapq.heappush(running, (now + clock.uniform(0.9, 1.1), number, Run(number, digits.accuracies(config))))

    for _ in range(parallel):
        begin(0.0)
    while spent < MOST_EPOCHS:
        now, _, run = heapq.heappop(running)
        spent += 1
        value = run.values[len(run.losses)]
        run.losses.append(-value)
        if value >= digits.target:
            return spent
        if len(run.losses) in observed:
            search.report(run.number, len(run.losses), value)
        stopped = search.stops(run.number)
        if stopped is None and stopper is not None and len(run.losses) < digits.max_epochs:
            stopped = _is_stopped(stopper, run, rungs)
        if stopped or len(run.losses) == digits.max_epochs:
            search.end(run.number, value, bool(stopped))
            begin(now)
        else:
            heapq.heappush(running, (now + clock.uniform(0.9, 1.1), run.number, run))
    return MOST_EPOCHS


def _is_stopped(stopper: Stopper, run: Run, rungs: dict[tuple[int, int], list[float]]) -> bool:
    question = stopper.question(run.number, run.losses)
    if question is None:
        return False
    others = rungs.setdefault((question.bracket, question.epochs), [])
    others.append(question.loss)
    return stopper.stops(question, Standing.of(question, others))


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
