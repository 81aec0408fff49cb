"""The jobs, as a person wants to see them first."""

from __future__ import annotations

from mitorch_service.models.job import Job
from mitorch_service.models.status import ACTIVE_JOBS
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing


def read_jobs(store: Store, limit: int, name: str | None = None) -> Listing[Job]:
    """The first `limit` jobs, all or those with this name: active ones by priority, then the others, newest first."""
    newest = store.jobs.list_jobs(limit, name)
    active = [job for job in store.jobs.active_jobs().items if name in (None, job.name)]
    ended = [job for job in newest.items if job.status not in ACTIVE_JOBS]
    return Listing([*active, *ended][:limit], newest.broken)
