"""Verbs of costs: reads the attempts that they are added up from, page by page, and stores what is final in a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.base import Document
from mitorch_service.models.search.job import SettledCost
from mitorch_service.models.status import ACTIVE_JOBS, TrainingStatus
from mitorch_service.models.training import Attempt, Refit
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import ANY_ARRIVAL, Guarded, Listing, Query

_PAGE = 1000
_WITHOUT = ("config", "error", "progress", "evaluation", "status_times", "trial", "tags", "artifacts", "dataset")


class Account(Document):
    """The part of a training that determines its cost."""

    stored_as: ClassVar[str] = "training"

    id: str
    status: TrainingStatus
    arrival: int
    job_id: str | None = None
    refit: Refit | None = None
    attempts: list[Attempt] = Field(default_factory=list)


class CostVerbs(Verbs):
    """Reads and writes for the budgets of jobs and the cost tables."""

    def account_pages(self, arrival: int, job_id: str | None = None) -> Iterator[Listing[Account]]:
        """Yields the accounts of all trainings, or of a job's trials, that arrived at a time (microseconds since 1970)
        or later, the oldest first: a thousand at a time, read by the index on arrival."""
        where = {} if job_id is None else {"job_id": job_id}
        after: tuple[int, str] | None = (arrival, "")
        while after is not None:
            query = Query(
                "trainings",
                where,
                order=(("arrival", 1), ("_id", 1)),
                after=after,
                limit=_PAGE,
                without=_WITHOUT,
            )
            page: Listing[Account] = Listing()
            documents = list(self._database.find(query))
            for document in documents:
                try:
                    page.items.append(Account.from_document(document))
                except BrokenDocument as broken:
                    page.broken.append(broken)
            yield page
            after = (documents[-1]["arrival"], documents[-1]["_id"]) if len(documents) == _PAGE else None

    def count_since(self, arrival: int) -> int:
        """Counts the trainings that arrived at a time (microseconds since 1970) or later."""
        return self._database.count(Query("trainings", between=("arrival", arrival, ANY_ARRIVAL[1])))

    def settle_cost(
        self, job_id: str, before: SettledCost | None, settled: SettledCost | None, note: str | None
    ) -> bool:
        """Stores what of an active job's cost is final. False if the job has ended, or `before` is not what was
        stored."""
        expect = {
            "status": ACTIVE_JOBS,
            "settled": (None if before is None else before.to_document(),),
        }
        changes = {"settled": None if settled is None else settled.to_document(), "note": note}
        return self._database.change(Guarded("jobs", job_id, expect, changes)) is not None
