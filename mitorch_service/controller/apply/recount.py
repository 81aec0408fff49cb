"""Counts the trials of a job that has ended again: see observe/late_trials.py."""

from __future__ import annotations

from datetime import datetime, timedelta

from mitorch_service.controller.observe.job_state import best_so_far
from mitorch_service.controller.observe.late_trials import is_fresh
from mitorch_service.controller.observe.refit import read_refit
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.search.recounts import next_recount

_MOST = 1000  # trials that are canceled at once
_WHILE_LATE = timedelta(minutes=1)  # between two recounts, while trials that should not be have not ended
_WHILE_RETRIED = timedelta(minutes=10)  # while a trial that a person has retried has not


def recount(store: Store, job: Job, now: datetime) -> list[TrainingRow]:
    """Corrects the counts of an ended job, and its best trial unless it is completed: then that, whose weights are the
    job's, is its result. Returns its late trials that nobody has canceled yet.

    Whoever cancels a late trial has asked for a recount before. So it is counted here as it ends, or is seen to be open
    still; that is why open trials are read before all are counted.
    """
    found = store.jobs.open_trials(job.id, _MOST)
    counts = store.trainings.count_trainings(job.id)
    late = [trial for trial in found.items if is_fresh(trial)]
    due = next_recount(job, now)
    if late or found.broken:  # the queue's reader sets damaged ones aside
        due = now + _WHILE_LATE
    elif found.items:
        due = now + _WHILE_RETRIED
    is_result = job.status == JobStatus.COMPLETED
    best = job.best if is_result else best_so_far(store, job, read_refit(store, job)) or job.best
    store.recounts.correct(job, counts, best, due)
    return [trial for trial in late if trial.cancel_requested_at is None]


def late_trials_of(store: Store, job_id: str) -> list[TrainingRow]:
    """Returns the trials that were added to an ended job."""
    return [trial for trial in store.jobs.open_trials(job_id, _MOST).items if is_fresh(trial)]
