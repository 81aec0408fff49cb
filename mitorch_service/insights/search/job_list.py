"""The searches page by page, newest first, with their trials by status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE_JOBS
from mitorch_service.stores.base import Store

PAGE = 50
_LOOKED_AT = 2000  # searches, for a part of a name

Key = tuple[int, str]  # (arrival, id)


@dataclass(frozen=True)
class JobLine:
    """A search with its trials by status, counted now while it goes on."""

    job: Job
    counts: Mapping[str, int]


@dataclass(frozen=True)
class JobPage:
    """A page of searches."""

    lines: Sequence[JobLine]
    broken: Sequence[BrokenDocument]
    after: Key | None  # where the next page begins; None: there is none
    looked_at: int | None  # for a part of a name: how many were looked at, if there are more


def read_job_page(store: Store, part: str = "", after: Key | None = None, limit: int = PAGE) -> JobPage:
    """Reads a page: all, or those whose name is or contains `part`, whatever its case. Whole names are found by an
    index, parts among the newest 2,000 behind `after`."""
    if not part:
        return _page(store, None, after, limit)
    named = _page(store, part, after, limit)
    if named.lines:
        return named
    return _containing(store, part.casefold(), after, limit)


def _page(store: Store, name: str | None, after: Key | None, limit: int) -> JobPage:
    listing = store.jobs.list_jobs(limit + 1, name, after)
    kept = listing.items[:limit]
    more = len(listing.items) + len(listing.broken) > limit and kept
    return JobPage([_line(store, job) for job in kept], listing.broken, _key(kept[-1]) if more else None, None)


def _containing(store: Store, part: str, after: Key | None, limit: int) -> JobPage:
    found: list[Job] = []
    looked_at = 0
    while looked_at < _LOOKED_AT and len(found) < limit:
        listing = store.jobs.list_jobs(PAGE * 4, None, after)
        for job in listing.items:
            looked_at, after = looked_at + 1, _key(job)
            if part in (job.name or "").casefold():
                found.append(job)
            if len(found) == limit:
                break
        if len(listing.items) + len(listing.broken) < PAGE * 4 or not listing.items:
            return JobPage([_line(store, job) for job in found], [], after if len(found) == limit else None, None)
    return JobPage([_line(store, job) for job in found], [], after, looked_at)


def _line(store: Store, job: Job) -> JobLine:
    return JobLine(job, store.trainings.count_trainings(job.id) if job.status in ACTIVE_JOBS else job.counts)


def _key(job: Job) -> Key:
    return job.arrival, job.id
