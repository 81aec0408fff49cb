"""Reads the history that a search's sampler gets, by a few indexed queries, however many trials there are.

In an infinite space, for a sampler to which their order does not matter, the best and the latest trials represent the
whole history. A finite space needs all points, as none may be repeated, and CMA-ES all trials in their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from mitorch_service.errors import AmbiguousId, BrokenDocument, NotFound
from mitorch_service.models.search.job import LEARNING, Job
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow, Trial, TrialRow
from mitorch_service.search.base import TrialRecord, TrialState
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Point, Space
from mitorch_service.stores.base import Store

BEST, LATEST = 128, 384  # trials; more than the `auto` sampler gives to a Gaussian process: see search/samplers/auto.py
_MOST_OPEN = 1000
_MOST_WARM = 200  # of each job that a search starts from

_STATES = {
    TrainingStatus.COMPLETED: TrialState.COMPLETED,
    TrainingStatus.PRUNED: TrialState.PRUNED,
    TrainingStatus.PAUSED: TrialState.PAUSED,
    TrainingStatus.FAILED: TrialState.FAILED,
    TrainingStatus.DIVERGED: TrialState.DIVERGED,
}


def read_history(store: Store, job: Job, space: Space, last_number: int | None) -> list[TrialRecord]:
    """Returns the trials on which those behind `last_number` depend: trials up to that number, and those of the warm
    start, which have negative numbers. Empty if the sampler learns nothing from them."""
    finite = size(space) < math.inf
    if not finite and job.search.algorithm not in LEARNING:
        return []
    whole = finite or job.search.algorithm == "cmaes"
    rows = store.jobs.iterate_trials(job.id) if whole else _best_and_latest(store, job)
    last = -1 if last_number is None else last_number
    own = [record for record in records(space, rows, keep_canceled=finite) if record.number <= last]
    return warm_records(store, job, space) + own


def records(space: Space, rows: Iterable[TrialRow | TrainingRow], keep_canceled: bool = True) -> list[TrialRecord]:
    """Returns the trials that have a point of the space. A canceled one takes up its point, but has no value."""
    found = []
    for row in rows:
        trial = row.trial
        point = None if trial is None else space.point_of(trial.parameters, options=trial.options)
        if row.trial is not None and point is not None and (keep_canceled or row.status != TrainingStatus.CANCELED):
            found.append(_record(row.trial, row.status, point))
    return found


def warm_records(store: Store, job: Job, space: Space) -> list[TrialRecord]:
    """Returns the trials of earlier searches that measured every objective, and whose parameters are of this space."""
    found: list[TrialRecord] = []
    for id in job.search.warm_start:
        for row in _warm_rows(store, id):
            values = tuple((row.evaluation or {}).get(name, math.nan) for name in job.search.objectives())
            point = None if row.trial is None else space.point_of(row.trial.parameters)
            if point is not None and all(map(math.isfinite, values)):
                found.append(TrialRecord(-1 - len(found), point, TrialState.COMPLETED, values))
    return found


def _record(trial: Trial, status: TrainingStatus, point: Point) -> TrialRecord:
    state = _STATES.get(status, TrialState.RUNNING)
    measured = trial.values or ([] if trial.value is None else [trial.value])
    values = tuple(measured) if state == TrialState.COMPLETED else ()
    curve = {} if status == TrainingStatus.CANCELED else _curve(trial.curve)
    return TrialRecord(trial.number, point, state, values, curve)


def _curve(stored: Mapping[str, float]) -> dict[int, float]:
    return {int(epochs): value for epochs, value in stored.items()}


def _best_and_latest(store: Store, job: Job) -> list[TrialRow | TrainingRow]:
    rows: dict[str, TrialRow | TrainingRow] = {row.id: row for row in _best(store, job)}
    latest = store.jobs.latest_trials(job.id, LATEST)
    if len(latest) == LATEST:  # else these are all
        for row in store.jobs.open_trials(job.id, _MOST_OPEN).items:
            rows[row.id] = row
    return [*(rows | {row.id: row for row in latest}).values()]


def _best(store: Store, job: Job) -> Sequence[TrialRow | TrainingRow]:
    """The best trials; of a search for several objectives those of its Pareto front."""
    if len(job.search.objectives()) == 1:
        return store.jobs.best_trials(job.id, job.search.resolved_direction(), BEST).items
    return store.fronts.trials_of_front(job.front or ())


def _warm_rows(store: Store, id: str) -> list[TrialRow | TrainingRow]:
    """The trial, or the latest trials of the job; none if it was deleted."""
    try:
        kind, whole = store.trainings.resolve_id(id)
        if kind == "job":
            return [*store.jobs.latest_trials(whole, _MOST_WARM)]
        return [store.trainings.get_training(whole)]
    except (NotFound, AmbiguousId, BrokenDocument):
        return []
