"""Prints the newest trainings (`miquery`)."""

from __future__ import annotations

from collections.abc import Iterator

import click

from mitorch_service.cli.views.base import View
from mitorch_service.cli.views.output import show_table, stream_json, text
from mitorch_service.errors import BrokenDocument
from mitorch_service.models.status import OPEN, TrainingStatus
from mitorch_service.models.training import TrainingRow, epochs_text
from mitorch_service.reports.queue import main_result, read_queue
from mitorch_service.stores.base import Store
from mitorch_service.stores.trainings import TrainingFilter

_COLUMNS = ("id", "status", "priority", "dataset", "name", "job", "epoch", "val loss", "result", "created")


class QueueView(View):
    """The newest trainings that pass a filter, and the counts by status."""

    def __init__(self, store: Store, filter: TrainingFilter, limit: int) -> None:
        self._store = store
        self._filter = filter
        self._limit = limit

    def show(self) -> bool:
        report = read_queue(self._store, self._filter, self._limit)
        show_table("trainings, newest first", _COLUMNS, [_row(training) for training in report.trainings])
        for broken in report.unreadable:
            click.echo(str(broken), err=True)
        shown = [f"{report.counts[s]} {s}" for s in map(str, TrainingStatus) if s in report.counts]
        click.echo(", ".join(shown) or "nothing queued")
        self.waits = any(status in report.counts for status in OPEN)
        return False

    def show_json(self) -> None:
        stream_json(self._json_fields())

    def _json_fields(self) -> Iterator[tuple[str, object]]:
        """The fields of the document; the trainings are an iterator, as there may be a million."""
        broken: list[BrokenDocument] = []
        yield "trainings", self._documents(broken)
        yield "counts", self._store.trainings.count_trainings(self._filter.job_id)
        yield "unreadable", [{"id": str(one.key), "reason": one.reason} for one in broken]

    def _documents(self, broken: list[BrokenDocument]) -> Iterator[object]:
        """Yields the documents that can be read, and appends the others to `broken`."""
        for row in self._store.trainings.iterate_trainings(self._filter, self._limit):
            if isinstance(row, BrokenDocument):
                broken.append(row)
            else:
                yield row.to_document()


def _row(training: TrainingRow) -> list[object]:
    progress = training.progress
    done = 0 if progress is None else progress.epoch
    result = ", ".join(f"{name}={text(value)}" for name, value in main_result(training).items())
    return [
        training.id[:8],
        training.status,
        training.priority,
        training.dataset,
        training.name,
        training.job_id[:8] if training.job_id else None,
        epochs_text(done, training.max_epochs),
        None if progress is None else progress.val_loss,
        result or None,
        training.created_at,
    ]
