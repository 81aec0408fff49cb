"""Shows the trainings that pass a filter (`miquery`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from mitorch_service.cli.views.pages.page import Block, Column, Lines, Page, Table, text
from mitorch_service.cli.views.query.base import View
from mitorch_service.errors import BrokenDocument
from mitorch_service.insights.waiting.queue import by_status, main_result, read_queue
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.status import OPEN, TrainingStatus
from mitorch_service.models.training import TrainingRow, done_text
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Matches, TrainingFilter
from mitorch_service.wording.elapsed import duration_text

_COLUMNS = (
    Column("id"),
    Column("status"),
    Column("name", 1, 12),
    Column("epoch", 2),
    Column("left", 3),
    Column("result", 4, 14, keeps_end=True),
    Column("tags", 5, 12),
    Column("val loss", 6),
    Column("dataset", 8, 10),
    Column("job", 7),
    Column("priority", 9),
    Column("by", 10, 8),
    Column("since", 11),
)


class QueueView(View):
    """The trainings that pass a filter: running ones, what waits in the order of the queue, what has ended; and their
    number."""

    def __init__(self, store: Store, filter: TrainingFilter, limit: int) -> None:
        self._store = store
        self._filter = filter
        self._limit = limit

    def read(self) -> Page:
        now = datetime.now(UTC)
        report = read_queue(self._store, self._filter, self._limit)
        known = report.matches.by_status
        self.waits = known is None or any(status in known for status in OPEN)
        rows = [_row(training, now) for training in report.trainings]
        blocks: list[Block] = [Table("trainings", _COLUMNS, rows)]
        if report.unreadable:
            blocks.append(Lines([str(broken) for broken in report.unreadable], to_errors=True))
        return Page([*blocks, Lines([self._counts(len(rows), report.matches)])])

    def has_ended(self) -> bool:
        return False

    def fields(self) -> Iterator[tuple[str, object]]:
        """The fields of the document; the trainings are an iterator, as there may be a million."""
        broken: list[BrokenDocument] = []
        yield "trainings", self._documents(broken)
        matches = self._store.trainings.count_matches(self._filter)
        yield "counts", matches.by_status
        yield "total", matches.total
        yield "unreadable", [{"id": str(one.key), "reason": one.reason} for one in broken]

    def _counts(self, shown: int, matches: Matches) -> str:
        filtered = not self._filter.is_empty()
        if not matches.total:
            return "none fits" if filtered else "nothing queued"
        counts = [f"{n:,} {status}" for status, n in by_status(matches.by_status or {})]
        of = f"{shown:,} of {matches.total:,} that fit" if filtered else f"{shown:,} of {matches.total:,}"
        return ": ".join([of, *([", ".join(counts)] if counts else [])])

    def _documents(self, broken: list[BrokenDocument]) -> Iterator[object]:
        """Yields the documents that can be read, and appends the others to `broken`."""
        for row in self._store.trainings.iterate_trainings(self._filter, self._limit):
            if isinstance(row, BrokenDocument):
                broken.append(row)
            else:
                yield row.to_document()


def _row(training: TrainingRow, now: datetime) -> list[object]:
    progress = training.progress
    result = ", ".join(f"{name}={text(value)}" for name, value in main_result(training).items())
    return [
        training.id[:8],
        TrainingStatus(training.status),
        training.name,
        done_text(training),
        duration_text(training_remaining(training, now)),
        result or None,
        training.tags,
        None if progress is None else progress.val_loss,
        training.dataset,
        training.job_id[:8] if training.job_id else None,
        training.priority,
        training.submitted_by,
        training.status_times.get(training.status, training.created_at),
    ]
