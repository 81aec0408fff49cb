"""The guarded changes of a training's or a job's status: the only ones that set it.

Each is checked against the tables in models/status.py when it is built, so that a transition that they lack cannot be
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeVar

from mitorch_service.models.status import (
    ENDED,
    JOB_TRANSITIONS,
    SCRIPT_TRIAL_TRANSITIONS,
    TRANSITIONS,
    AttemptOutcome,
    JobStatus,
    TrainingStatus,
)
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.requests import Collection, Guarded

Status = TypeVar("Status", bound=StrEnum)
Expected = Mapping[str, tuple[object, ...]]


@dataclass(frozen=True)
class StatusChange(Guarded):
    """A guarded change that sets a status."""

    sets_status: ClassVar[bool] = True


def stored_statuses(statuses: Iterable[TrainingStatus]) -> tuple[str, ...]:
    """The values by which documents store these statuses: a trial that was paused by
    version 0.1 or an earlier one has `pruned`."""
    values = [status.value for status in statuses]
    if TrainingStatus.PAUSED in values and TrainingStatus.PRUNED not in values:
        values.append(TrainingStatus.PRUNED.value)
    return tuple(values)


def change_training(
    training_id: object,
    before: Iterable[TrainingStatus],
    after: TrainingStatus,
    at: datetime | None,
    expect: Expected,
    changes: Mapping[str, object],
) -> Guarded:
    """Changes a training from any of the statuses `before` to `after`, with further guards and changes.

    `at` is when (None: the time of the status is not set again). Raises ValueError for a transition that is not in
    TRANSITIONS.
    """
    before = tuple(before)
    _check(TRANSITIONS, before, after)
    changes = {**_end(before, after, at), **changes}
    return _change("trainings", training_id, stored_statuses(before), after, at, expect, changes)


def change_job(
    job_id: object,
    before: Iterable[JobStatus],
    after: JobStatus,
    at: datetime | None,
    expect: Expected,
    changes: Mapping[str, object],
) -> Guarded:
    """The same for a job. Raises ValueError for a transition that is not in JOB_TRANSITIONS."""
    before = tuple(before)
    _check(JOB_TRANSITIONS, before, after)
    return _change("jobs", job_id, tuple(status.value for status in before), after, at, expect, changes)


def end_script_trial(
    training_id: str, after: TrainingStatus, at: datetime, expect: Expected, changes: Mapping[str, object]
) -> Guarded:
    """The end of a trial that an Optuna script runs. Raises ValueError for one that is not in
    SCRIPT_TRIAL_TRANSITIONS."""
    before = (TrainingStatus.CANCELED,)
    _check(SCRIPT_TRIAL_TRANSITIONS, before, after)
    changes = {**_end(before, after, at), **changes}
    return _change("trainings", training_id, before, after, at, expect, changes)


def ended_attempt(number: int, outcome: AttemptOutcome, reason: str | None, at: datetime) -> dict[str, object]:
    """The changes that end an attempt."""
    return _attempt_end(number, outcome.value, reason, at)


def budget_marks(
    training: TrainingRow | None, number: int, outcome: AttemptOutcome, preempted: bool, timed_out: bool
) -> dict[str, object]:
    """The changes to an attempt that ends by which the budgets are counted: `models/attempts/attempt_budgets.py`."""
    epoch = None if training is None else training.epochs_seen()
    marks: dict[str, object] = {} if epoch is None else {f"attempts.{number - 1}.epoch": epoch}
    return {**marks, **loss_marks(number, preempted, timed_out)} if outcome == AttemptOutcome.LOST else marks


def loss_marks(number: int, preempted: bool, timed_out: bool) -> dict[str, object]:
    """The changes to an attempt by which the kind of its loss is told."""
    path = f"attempts.{number - 1}"
    return {f"{path}.preempted": preempted, **({f"{path}.timed_out": True} if timed_out else {})}


def reopened_attempt(number: int) -> dict[str, object]:
    """The changes that take back the end of an attempt whose run is still at work."""
    return _attempt_end(number, None, None, None)


def _attempt_end(number: int, outcome: str | None, reason: str | None, at: datetime | None) -> dict[str, object]:
    path = f"attempts.{number - 1}"
    return {f"{path}.outcome": outcome, f"{path}.reason": reason, f"{path}.ended_at": at}


def _check(table: Mapping[Status, frozenset[Status]], before: tuple[Status, ...], after: Status) -> None:
    impossible = [status.value for status in before if after not in table.get(status, ())]
    if impossible or not before:
        raise ValueError(f"no transition leads from {' or '.join(impossible) or 'nothing'} to {after.value}")


def _end(before: Iterable[TrainingStatus], after: TrainingStatus, at: datetime | None) -> dict[str, object]:
    """The time by which an index orders what has ended."""
    if after in ENDED:
        return {} if at is None else {"ended_at": at}
    return {"ended_at": None} if any(status in ENDED for status in before) else {}


def _change(
    collection: Collection,
    id: object,
    before: tuple[str, ...],
    after: StrEnum,
    at: datetime | None,
    expect: Expected,
    changes: Mapping[str, object],
) -> Guarded:
    times: dict[str, object] = {} if at is None or "status_times" in changes else {f"status_times.{after.value}": at}
    return StatusChange(collection, id, {"status": before, **expect}, {"status": after.value, **times, **changes})
