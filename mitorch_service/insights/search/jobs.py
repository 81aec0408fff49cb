"""The jobs, as a person wants to see them first."""

from __future__ import annotations

from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE_JOBS, OPEN
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing


def read_jobs(store: Store, limit: int, name: str | None = None) -> Listing[Job]:
    """The first `limit` jobs, all or those with this name: active ones by priority, then the others, newest first."""
    newest = store.jobs.list_jobs(limit, name)
    active = [job for job in store.jobs.active_jobs().items if name in (None, job.name)]
    ended = [job for job in newest.items if job.status not in ACTIVE_JOBS]
    return Listing([*active, *ended][:limit], newest.broken)


def ended_trials(job: Job) -> int:
    """The number of its trials that have ended."""
    return sum(number for status, number in job.counts.items() if status not in OPEN)


def best_text(job: Job) -> str | None:
    """``val_loss=0.25``, the first objective of its best trial; None before there is one."""
    return None if job.best is None else f"{job.search.objectives()[0]}={job.best.value:.4g}"
