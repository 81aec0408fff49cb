"""The newest trainings that pass a filter, with counts by status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mitorch_service.errors import BrokenDocument, InvalidInput, NotAllowed, Problem
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.labels import check_tag
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.trainings import TrainingFilter

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class QueueReport:
    """A page of trainings."""

    trainings: Sequence[TrainingRow]  # newest first
    unreadable: Sequence[BrokenDocument]
    counts: Mapping[str, int]  # by status, of all trainings or of the job


def read_queue(store: Store, filter: TrainingFilter, limit: int) -> QueueReport:
    """The newest `limit` trainings."""
    listing = store.trainings.list_trainings(filter, limit)
    return QueueReport(listing.items, listing.broken, store.trainings.count_trainings(filter.job_id))


def build_filter(
    store: Store, status: str | None, job: str | None, dataset: str | None, tag: str | None
) -> TrainingFilter:
    """Combines what a person filters by: `job` is an id or the beginning of one, `tag` ``key=value``. Raises NotFound,
    AmbiguousId, NotAllowed, InvalidInput."""
    job_id = None
    if job is not None:
        kind, job_id = store.trainings.resolve_id(job)
        if kind != "job":
            raise NotAllowed("training", job_id, "no job", "listed by --job", "Give the id of a job.")
    name = None if dataset is None else _checked("--dataset", dataset, DatasetRef.parse).name
    if tag is not None:
        _checked("--tag", tag, check_tag)
    return TrainingFilter(TrainingStatus(status) if status else None, job_id, name, tag)


def _checked(argument: str, text: str, check: Callable[[str], Checked]) -> Checked:
    """Raises InvalidInput, naming the argument, for what the check refuses with a ValueError."""
    try:
        return check(text)
    except ValueError as error:
        raise InvalidInput(argument, [Problem(repr(text), str(error))]) from error


def main_result(training: TrainingRow) -> dict[str, float]:
    """The values that a training is compared by: a trial's objectives, else the first metric of the evaluation."""
    measured = training.evaluation or {}
    metrics = [name for name in measured if name != "val_loss"]
    wanted = training.trial.all_objectives() if training.trial else (metrics or ["val_loss"])[:1]
    return {name: measured[name] for name in wanted if name in measured}
