"""The best trials of a job: its leaderboard, or with several objectives its Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from mitorch_service.controller.observe.pareto_front import current_front
from mitorch_service.models.search.job import Job
from mitorch_service.models.search.pareto_front import FrontTrial
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow, TrialRow
from mitorch_service.stores.base import Store

_LOOKED_AT = 10_000  # trials of a job


@dataclass(frozen=True)
class Standing:
    """A trial with its results."""

    values: list[float]  # of each objective
    number: int
    training_id: str
    epochs: int | None  # done; None if the training was deleted
    parameters: dict[str, JsonValue]


@dataclass(frozen=True)
class Unranked:
    """A trial without a final value: it has not ended, was stopped early, or failed."""

    number: int
    training_id: str
    status: TrainingStatus
    epochs: int
    best: float | None  # that it has reached so far, where its search compares trials
    reason: str | None  # of its end
    parameters: dict[str, JsonValue]


@dataclass(frozen=True)
class ParetoFront:
    """The Pareto front of a job, best in the first objective first."""

    trials: list[FrontTrial]  # all
    rows: list[TrainingRow]  # of the first `limit`, in the same order, without those that were deleted

    def standings(self, limit: int) -> list[Standing]:
        """The first `limit` trials."""
        rows = {row.id: row for row in self.rows}
        return [_front_standing(trial, rows.get(trial.training_id)) for trial in self.trials[:limit]]


def read_leaderboard(store: Store, job: Job, limit: int) -> list[Standing]:
    """The trials of a job with one objective, best first."""
    rows = store.jobs.best_trials(job.id, job.search.resolved_direction(), limit).items
    return [standing for row in rows if (standing := _standing(row)) is not None]


def iterate_leaders(store: Store, job: Job, limit: int) -> Iterator[TrainingRow]:
    """Iterates over the trainings of the leaderboard; a page is held at a time."""
    return store.jobs.iterate_best_trials(job.id, job.search.resolved_direction(), limit)


def read_front(store: Store, job: Job, limit: int) -> ParetoFront:
    """The front of a job with several objectives, and the trainings of its first `limit` trials."""
    trials = current_front(store, job)
    return ParetoFront(trials, store.fronts.trials_of_front(trials[:limit]))


def read_unranked(store: Store, job: Job, limit: int) -> list[Unranked]:
    """The latest `limit` trials without a final value, the latest first; they are looked for among 10,000."""
    rows = store.jobs.latest_trials(job.id, _LOOKED_AT)
    return [_unranked(row) for row in rows if row.trial.value is None and row.trial.values is None][:limit]


def parameter_names(trials: Iterable[Standing | Unranked]) -> list[str]:
    """The names of all parameters, in the order in which they first appear."""
    return list(dict.fromkeys(name for trial in trials for name in trial.parameters))


def _unranked(row: TrialRow) -> Unranked:
    best = max(row.trial.curve.items(), key=lambda item: int(item[0]), default=(0, None))[1]
    reason = None if row.error is None else row.error.message
    return Unranked(row.trial.number, row.id, row.status, _epochs(row), best, reason, row.trial.parameters)


def _standing(row: TrainingRow) -> Standing | None:
    trial = row.trial
    if trial is None or trial.value is None:
        return None
    return Standing([trial.value], trial.number, row.id, _epochs(row), trial.parameters)


def _front_standing(trial: FrontTrial, row: TrainingRow | None) -> Standing:
    epochs = row.progress.epoch if row is not None and row.progress else None
    return Standing(trial.values, trial.number, trial.training_id, epochs, trial.parameters)


def _epochs(row: TrainingRow | TrialRow) -> int:
    return row.progress.epoch if row.progress else 0
