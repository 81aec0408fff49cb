"""The trials of a search as charts and tables need them: values, parameters, when each ended and what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from mitorch_service.controller.observe.cost import Cost, training_cost
from mitorch_service.models.search.job import Job
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.models.training import TrialRow
from mitorch_service.search.pareto_merge import Losses, dominates
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.costs import Account

MOST_TRIALS = 10_000  # the latest


@dataclass(frozen=True)
class TrialPoint:
    """A trial."""

    number: int
    id: str
    status: TrainingStatus
    values: tuple[float, ...]  # of each objective at its end; empty where it has none
    reached: float | None  # the best of the first objective so far, where its search compares trials
    parameters: Mapping[str, JsonValue]
    epochs: int
    max_epochs: int
    reason: str | None  # of a failure
    ended_at: datetime | None
    cost: Cost


@dataclass(frozen=True)
class SearchHistory:
    """The latest trials of a search, by number."""

    job: Job
    rows: Sequence[TrialRow]
    accounts: Sequence[Account]
    trials: Sequence[TrialPoint]
    is_whole: bool  # False: there are more than MOST_TRIALS

    def complete(self) -> list[TrialPoint]:
        """Returns the trials with a value of each objective, in the order in which they ended."""
        number = len(self.job.search.objectives())
        return sorted((one for one in self.trials if len(one.values) == number), key=_ended)


@dataclass(frozen=True)
class Improvement:
    """A trial with its value, and the best value up to it."""

    trial: TrialPoint
    value: float
    best: float
    is_best: bool  # better than all before
    hours: float | None  # from the search's submission to its end
    cost: float  # of all trials that had ended by then


def read_history(store: Store, job: Job, now: datetime) -> SearchHistory:
    """Reads at most MOST_TRIALS trials with their attempts, by two indexed queries."""
    rows = store.jobs.latest_trials(job.id, MOST_TRIALS + 1)
    is_whole, rows = len(rows) <= MOST_TRIALS, sorted(rows[:MOST_TRIALS], key=lambda row: row.trial.number)
    first = rows[0].arrival if rows else job.arrival
    accounts = [account for page in store.costs.account_pages(first, job.id) for account in page.items]
    return SearchHistory(job, rows, accounts, list(_points(rows, accounts, now)), is_whole)


def improvements(history: SearchHistory, objective: int = 0) -> list[Improvement]:
    """The best value of one objective so far, after each trial that has a value, in the order in which they ended."""
    direction = history.job.search.directions()[objective]
    best, spent, found = None, 0.0, []
    ended = {one.number: one for one in history.trials if one.status in ENDED}
    costs = _spent(ended.values())
    for trial in history.complete():
        value = trial.values[objective]
        is_best = best is None or is_better(value, best, direction)
        best = value if is_best or best is None else best
        spent = costs.get(trial.number, spent)
        hours = (trial.ended_at - history.job.created_at).total_seconds() / 3600 if trial.ended_at else None
        found.append(Improvement(trial, value, best, is_best, hours, spent))
    return found


def is_better(value: float, than: float, direction: Direction) -> bool:
    """Whether a value is better, not only as good."""
    return value < than if direction == "minimize" else value > than


def front_numbers(trials: Iterable[TrialPoint], directions: Sequence[Direction]) -> set[int]:
    """The numbers of the trials that no other dominates, by one sweep over the trials sorted by the first objective:
    only a trial that is not worse there can dominate one. Equal values are all in the front."""
    losses = {one.number: _losses(one.values, directions) for one in trials if len(one.values) == len(directions)}
    front: list[tuple[Losses, int]] = []
    for number, loss in sorted(losses.items(), key=lambda item: item[1]):
        if not any(dominates(other, loss) for other, _ in front):
            front.append((loss, number))
    return {number for _, number in front}


def best_first(trials: Iterable[TrialPoint], direction: Direction) -> list[TrialPoint]:
    """Returns the trials with a value, the best in the first objective first; of equal ones the earlier."""
    sign = 1 if direction == "minimize" else -1
    return sorted((one for one in trials if one.values), key=lambda one: (sign * one.values[0], one.number))


def _losses(values: Sequence[float], directions: Sequence[Direction]) -> Losses:
    pairs = zip(values, directions, strict=True)
    return tuple(value if direction == "minimize" else -value for value, direction in pairs)


def _spent(trials: Iterable[TrialPoint]) -> dict[int, float]:
    """The cost of all trials up to each one, in the order in which they ended."""
    total, found = 0.0, {}
    for trial in sorted(trials, key=_ended):
        total += trial.cost.cost or trial.cost.node_hours
        found[trial.number] = total
    return found


def _ended(trial: TrialPoint) -> tuple[float, int]:
    return (trial.ended_at.timestamp() if trial.ended_at else math.inf, trial.number)


def _points(rows: Iterable[TrialRow], accounts: Iterable[Account], now: datetime) -> Iterator[TrialPoint]:
    known = {account.id: account for account in accounts}
    for row in rows:
        trial, account = row.trial, known.get(row.id)
        attempts = account.attempts if account else []
        values = trial.values or ([] if trial.value is None else [trial.value])
        curve = trial.curve
        yield TrialPoint(
            number=trial.number,
            id=row.id,
            status=row.status,
            values=tuple(values) if row.status == TrainingStatus.COMPLETED else (),
            reached=curve[max(curve, key=int)] if curve else None,
            parameters=trial.parameters,
            epochs=row.progress.epoch if row.progress else 0,
            max_epochs=row.max_epochs,
            reason=None if row.error is None else row.error.message,
            ended_at=attempts[-1].ended_at if attempts and row.status in ENDED else None,
            cost=training_cost(attempts, now),
        )
