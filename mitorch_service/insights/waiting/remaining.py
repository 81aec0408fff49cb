"""Estimates when what runs will have ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from mitorch_service.controller.observe.cost import attempt_cost
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE, ACTIVE_JOBS, ENDED, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.verbs.costs import Account


def training_remaining(row: TrainingRow, now: datetime) -> timedelta | None:
    """The time that the epochs still to be run take, each as long as the last one; None if that is not known. A trial
    that pauses is estimated to its pause."""
    progress = row.progress
    if row.status != TrainingStatus.RUNNING or progress is None or progress.epoch_seconds is None:
        return None
    last = (row.trial and row.trial.pause_at) or row.max_epochs or progress.max_epochs
    if not last:
        return None
    left = timedelta(seconds=(last - progress.epoch) * progress.epoch_seconds) - (now - progress.at)
    return max(left, timedelta())


def job_remaining(
    job: Job, counts: Mapping[str, int], accounts: Iterable[Account] | None, now: datetime
) -> timedelta | None:
    """The time that the trials still to be run take, each as long as those that have ended, as many at a time as are
    active now; None if none has ended, none is active, or they are too many to read."""
    ended = sum(counts.get(status, 0) for status in ENDED)
    active = sum(counts.get(status, 0) for status in ACTIVE)
    space, _ = parse_space(job.config)
    left = int(min(job.search.max_trials, size(space))) - ended  # each point of a finite space is tried once
    if job.status not in ACTIVE_JOBS or accounts is None or not active or left <= 0:
        return None
    times = [_run_time(account, now) for account in accounts if _has_ended(account)]
    if not times:
        return None
    return sum(times, timedelta()) / len(times) * left / active


def _has_ended(account: Account) -> bool:
    return bool(account.attempts) and all(attempt.ended_at is not None for attempt in account.attempts)


def _run_time(account: Account, now: datetime) -> timedelta:
    hours = sum(attempt_cost(attempt, now).node_hours / (attempt.nodes or 1) for attempt in account.attempts)
    return timedelta(hours=hours)
