"""Shows the jobs (`miquery --jobs`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mitorch_service.cli.views.pages.page import Block, Column, Lines, Page, Table
from mitorch_service.cli.views.query.base import View
from mitorch_service.insights.search.jobs import best_text, ended_trials, read_jobs
from mitorch_service.insights.search.pausing import counts_text
from mitorch_service.models.search.job import Job
from mitorch_service.stores.base import Store

_COLUMNS = (
    Column("job"),
    Column("status"),
    Column("name", 1, 12),
    Column("ended", 2),
    Column("best", 3, 14, keeps_end=True),
    Column("search", 5, 12),
    Column("tags", 6, 12),
    Column("dataset", 7, 10),
    Column("trials", 4, 14),
    Column("priority", 9),
    Column("by", 10, 8),
    Column("created", 11),
)


class JobsView(View):
    """The jobs: active ones by priority, then the others, newest first."""

    waits = False  # the list may hold ended jobs only

    def __init__(self, store: Store, limit: int, name: str | None = None) -> None:
        """`name`: only those with this name."""
        self._store = store
        self._limit = limit
        self._name = name

    def read(self) -> Page:
        listing = read_jobs(self._store, self._limit, self._name)
        blocks: list[Block] = [Table("jobs", _COLUMNS, [_row(job) for job in listing.items])]
        if listing.broken:
            blocks.append(Lines([str(broken) for broken in listing.broken], to_errors=True))
        return Page(blocks)

    def has_ended(self) -> bool:
        return False

    def fields(self) -> Iterable[tuple[str, object]]:
        listing = read_jobs(self._store, self._limit, self._name)
        unreadable = [{"id": str(one.key), "reason": one.reason} for one in listing.broken]
        return [("jobs", [_document(job) for job in listing.items]), ("unreadable", unreadable)]


def _document(job: Job) -> dict[str, object]:
    """A job without its config, which may be long and hold credentials."""
    return {name: value for name, value in job.to_document().items() if name != "config"}


def _row(job: Job) -> Sequence[object]:
    return [
        job.id[:8],
        job.status,
        job.name,
        f"{ended_trials(job)}/{job.search.max_trials}",
        best_text(job),
        job.search.algorithm,
        job.tags,
        job.dataset,
        counts_text(job.counts),
        job.priority,
        job.submitted_by,
        job.created_at,
    ]
