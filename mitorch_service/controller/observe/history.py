"""What a search is told of its trials: read from the store by a few indexed queries, however many there are.

Of an infinite space, and one that needs no order, the best and the latest trials stand for the whole history. A finite
space needs all points, as none is to come twice, and CMA-ES all trials in their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from mitorch_service.errors import MiTorchError
from mitorch_service.models.job import LEARNING, Job
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow, Trial, TrialRow
from mitorch_service.search.base import TrialRecord, TrialState
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Point, Space, parse_space
from mitorch_service.stores.base import Store

BEST, LATEST = 128, 384  # more than the automatic default gives to a Gaussian process: see search/auto.py
_MOST_OPEN = 1000
_MOST_WARM = 200  # of each job that a search starts from

_STATES = {
    TrainingStatus.COMPLETED: TrialState.COMPLETED,
    TrainingStatus.PRUNED: TrialState.PRUNED,
    TrainingStatus.PAUSED: TrialState.PAUSED,
    TrainingStatus.FAILED: TrialState.FAILED,
    TrainingStatus.DIVERGED: TrialState.DIVERGED,
}


def read_history(store: Store, job: Job, last_number: int | None) -> list[TrialRecord]:
    """What decides about the trials behind `last_number`: of those up to it, and of the warm start, which have negative
    numbers. Empty where the algorithm wants to know nothing."""
    space, problems = parse_space(job.config)
    if problems:
        return []  # the plan ends the job
    finite = size(space) < math.inf
    if not finite and job.search.algorithm not in LEARNING:
        return []
    whole = finite or job.search.algorithm == "cmaes"
    rows = store.jobs.iterate_trials(job.id) if whole else _best_and_latest(store, job)
    last = -1 if last_number is None else last_number
    own = [record for record in records(space, rows, keep_canceled=finite) if record.number <= last]
    return warm_records(store, job, space) + own


def records(space: Space, rows: Iterable[TrialRow | TrainingRow], keep_canceled: bool = True) -> list[TrialRecord]:
    """The trials that have a point of the space. A canceled one has taken its point, and teaches nothing."""
    found = []
    for row in rows:
        point = None if row.trial is None else space.point_of(row.trial.parameters)
        if row.trial is not None and point is not None and (keep_canceled or row.status != TrainingStatus.CANCELED):
            found.append(_record(row.trial, row.status, point))
    return found


def warm_records(store: Store, job: Job, space: Space) -> list[TrialRecord]:
    """Trials of earlier searches that measured every objective, and whose parameters are of this space."""
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
    """The front, where there are several objectives."""
    if len(job.search.objectives()) == 1:
        return store.jobs.best_trials(job.id, job.search.resolved_direction(), BEST).items
    return store.fronts.trials_of_front(job.front or ())


def _warm_rows(store: Store, id: str) -> list[TrialRow | TrainingRow]:
    """The trial, or the latest trials of the job, as far as they are still there."""
    try:
        kind, whole = store.trainings.resolve_id(id)
        if kind == "job":
            return [*store.jobs.latest_trials(whole, _MOST_WARM)]
        return [store.trainings.get_training(whole)]
    except MiTorchError:
        return []
