"""Verbs of recounts: the trials of a job that has ended are counted again, at a few times after its end.

A pass that was suspended may add trials to a job after its end, start them, or cancel them: see
controller/observe/late_trials.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from mitorch_service.models.notification import to_milliseconds
from mitorch_service.models.search.job import BestTrial, Job
from mitorch_service.models.status import ENDED_JOBS
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Listing, Query

RECOUNTED_AFTER = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=2))  # its end


class RecountVerbs(Verbs):
    """Finds the jobs whose time has come, and corrects their counts."""

    def due(self, now: datetime, limit: int) -> Listing[Job]:
        """Returns ended jobs whose counts are to be looked at, those that have waited longest first."""
        until = to_milliseconds(now) + 1
        query = Query("jobs", between=("recount_due", 0, until), order=(("recount_due", 1),), limit=limit)
        return self._database.read(Job, query)

    def ask(self, job_id: str, now: datetime) -> None:
        """Lets the next pass look at the counts of a job, if it has ended."""
        change = Guarded("jobs", job_id, {"status": ENDED_JOBS}, {"recount_due": to_milliseconds(now)})
        self._database.change(change)

    def correct(self, job: Job, counts: Mapping[str, int], best: BestTrial | None, due: datetime | None) -> bool:
        """Sets the counts and the best trial of an ended job, and when they are looked at again. False if a recount was
        asked for since the job was read, another pass was faster, or it is gone."""
        expect = {"status": ENDED_JOBS, "recount_due": (job.recount_due,)}
        changes = {
            "counts": dict(counts),
            "best": None if best is None else best.to_document(),
            "recount_due": None if due is None else to_milliseconds(due),
        }
        return self._database.change(Guarded("jobs", job.id, expect, changes)) is not None

    def forget(self, job_id: object) -> None:
        """Looks at the counts of a job no more."""
        self._database.change(Guarded("jobs", job_id, {}, {"recount_due": None}))


def first_recount(ended_at: datetime) -> int:
    """Returns when the counts of a job that ends are looked at first, in milliseconds since 1970."""
    return to_milliseconds(ended_at + RECOUNTED_AFTER[0])


def next_recount(job: Job, now: datetime) -> datetime | None:
    """Returns when the counts of an ended job that are looked at now are looked at again; None: never."""
    ended_at = job.status_times.get(job.status)
    times = [] if ended_at is None else [ended_at + after for after in RECOUNTED_AFTER]
    return next((time for time in times if time > now), None)
