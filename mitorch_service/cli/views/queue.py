"""What miquery shows: the queue, a training or a job, each read anew whenever it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from mitorch_service.cli.views.base import View
from mitorch_service.cli.views.output import show_table, stream_json, text
from mitorch_service.errors import BrokenDocument, NotAllowed
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow, epochs_text
from mitorch_service.stores.base import Store
from mitorch_service.stores.trainings import TrainingFilter


class QueueView(View):
    """The newest trainings that fit a filter, and how many there are in each status."""

    def __init__(self, store: Store, filter: TrainingFilter, limit: int) -> None:
        self._store, self._filter, self._limit = store, filter, limit

    def show(self) -> bool:
        listing = self._store.trainings.list_trainings(self._filter, self._limit)
        columns = (
            "id",
            "status",
            "priority",
            "dataset",
            "name",
            "job",
            "epoch",
            "val loss",
            "result",
            "created",
        )
        show_table("trainings, newest first", columns, [_row(training) for training in listing.items])
        for broken in listing.broken:
            click.echo(str(broken), err=True)
        counts = self._store.trainings.count_trainings(self._filter.job_id)
        click.echo(", ".join(f"{counts[s]} {s}" for s in map(str, TrainingStatus) if s in counts) or "nothing queued")
        return False

    def show_json(self) -> None:
        stream_json(self._json_fields())

    def _json_fields(self) -> Iterator[tuple[str, Any]]:
        broken: list[BrokenDocument] = []
        yield "trainings", self._documents(broken)
        yield "counts", self._store.trainings.count_trainings(self._filter.job_id)
        yield "unreadable", [{"id": str(one.key), "reason": one.reason} for one in broken]

    def _documents(self, broken: list[BrokenDocument]) -> Iterator[dict[str, Any]]:
        for row in self._store.trainings.iterate_trainings(self._filter, self._limit):
            if isinstance(row, BrokenDocument):
                broken.append(row)
            else:
                yield row.to_document()


def open_view(
    store: Store,
    id: str | None,
    status: str | None,
    job: str | None,
    dataset: str | None,
    tag: str | None,
    limit: int,
) -> View:
    """The view that the arguments of miquery ask for. Raises NotFound, AmbiguousId."""
    if id is not None:
        kind, whole = store.trainings.resolve_id(id)
        if kind == "training":
            from mitorch_service.cli.views.training import TrainingView

            return TrainingView(store, whole)
        from mitorch_service.cli.views.job import JobView  # which loads what searches are made of

        return JobView(store, whole, limit)
    job_id = None
    if job is not None:
        kind, job_id = store.trainings.resolve_id(job)
        if kind != "job":
            raise NotAllowed("training", job_id, "no job", "listed by --job", "Give the id of a job.")
    name = None if dataset is None else DatasetRef.parse(dataset).name
    return QueueView(store, TrainingFilter(TrainingStatus(status) if status else None, job_id, name, tag), limit)


def _row(training: TrainingRow) -> list[Any]:
    progress = training.progress
    done = 0 if progress is None else progress.epoch
    return [
        training.id[:8],
        training.status,
        training.priority,
        training.dataset,
        training.name,
        training.job_id[:8] if training.job_id else None,
        epochs_text(done, training.max_epochs),
        None if progress is None else progress.val_loss,
        _result(training),
        training.created_at,
    ]


def _result(training: TrainingRow) -> str | None:
    """What it was trained for: a trial's objectives, else the first metric of the evaluation."""
    measured = training.evaluation or {}
    names = [name for name in measured if name != "val_loss"]
    wanted = training.trial.all_objectives() if training.trial else (names or ["val_loss"])[:1]
    return ", ".join(f"{name}={text(measured[name])}" for name in wanted if name in measured) or None
