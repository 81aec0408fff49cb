"""The trainings that pass a filter: what runs, what comes next, what ended; with counts by status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from mitorch_service.errors import BrokenDocument, InvalidInput, NotAllowed, Problem
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.labels import check_tag
from mitorch_service.models.status import ACTIVE, ENDED, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing
from mitorch_service.stores.verbs.trainings import Matches, TrainingFilter

_STRANGERS = 10  # documents of other programs that no pass adopts: the first ones are told

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class QueueReport:
    """A page of trainings."""

    trainings: Sequence[TrainingRow]  # what runs, what waits in the order of the queue, what ended, newest first
    unreadable: Sequence[BrokenDocument]
    matches: Matches  # all that pass the filter


def read_queue(store: Store, filter: TrainingFilter, limit: int) -> QueueReport:
    """The first page of `limit` trainings. What waits and what has ended share the room that active ones leave."""
    active, waiting, ended = _parts(store, filter, limit)
    running = [row for status in reversed(ACTIVE) for row in sorted(active.items, key=_place) if row.status == status]
    rows = share(running, waiting.items, sorted(ended.items, key=_end, reverse=True), limit)
    broken = {one.key: one for part in (active, waiting, ended) for one in part.broken}
    if filter == TrainingFilter():
        broken |= {one.key: one for one in store.adoption.strangers("training", _STRANGERS)}
    return QueueReport(rows, list(broken.values()), store.trainings.count_matches(filter))


def share(
    running: Sequence[TrainingRow], waiting: Sequence[TrainingRow], ended: Sequence[TrainingRow], limit: int
) -> list[TrainingRow]:
    """The first `limit`: of those that wait and those that have ended each may take half of the room, and what the
    other leaves."""
    room = max(0, limit - len(running))
    waits = min(len(waiting), max(room - len(ended), (room + 1) // 2))
    return [*running[:limit], *waiting[:waits], *ended[: room - waits]]


def build_filter(
    store: Store, status: str | None, job: str | None, dataset: str | None, tag: str | None, name: str | None = None
) -> TrainingFilter:
    """Combines what a person filters by: `job` is an id or the beginning of one, `tag` ``key=value``. Raises NotFound,
    AmbiguousId, NotAllowed, InvalidInput."""
    job_id = None
    if job is not None:
        kind, job_id = store.trainings.resolve_id(job)
        if kind != "job":
            raise NotAllowed("training", job_id, "no job", "listed by --job", "Give the id of a job.")
    of = None if dataset is None else _checked("--dataset", dataset, DatasetRef.parse).name
    if tag is not None:
        _checked("--tag", tag, check_tag)
    return TrainingFilter(TrainingStatus(status) if status else None, job_id, of, tag, name)


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


def _parts(
    store: Store, filter: TrainingFilter, limit: int
) -> tuple[Listing[TrainingRow], Listing[TrainingRow], Listing[TrainingRow]]:
    """Reads active, waiting and ended trainings: of each as many as fit on the page, if there are."""
    if filter.is_empty():
        ended: Listing[TrainingRow] = Listing()
        for status in ENDED:
            _extend(ended, store.trainings.list_trainings(replace(filter, status=status), limit))
        return store.queue.active_trainings(), store.queue.queue_head(limit), ended
    if filter == TrainingFilter(TrainingStatus.NEW):
        return Listing(), store.queue.queue_head(limit), Listing()
    listed = store.trainings.list_trainings(filter, limit)
    active = Listing([row for row in listed.items if row.status in ACTIVE], listed.broken)
    if filter.status is None:  # those that were submitted long ago are not among the newest
        found = store.queue.active_trainings()
        active = Listing([row for row in found.items if filter.matches(row)], listed.broken)
    waiting = sorted((row for row in listed.items if row.status == TrainingStatus.NEW), key=_place)
    return active, Listing(waiting), Listing([row for row in listed.items if row.status in ENDED])


def _extend(listing: Listing[TrainingRow], part: Listing[TrainingRow]) -> None:
    listing.items.extend(part.items)
    listing.broken.extend(part.broken)


def _place(row: TrainingRow) -> tuple[int, int, str]:
    return row.priority, row.arrival, row.id


def _end(row: TrainingRow) -> tuple[datetime, int]:
    return row.status_times.get(row.status, row.created_at), row.arrival


def by_status(counts: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """The counts in the order of a training's life."""
    return [(status.value, counts[status]) for status in TrainingStatus if counts.get(status)]
