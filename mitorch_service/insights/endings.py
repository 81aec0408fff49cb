"""Waits for the end of a training or job, and finds the trainings that ended between two passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import BrokenDocument, NotFound
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED, ENDED_JOBS, JobStatus, TrainingStatus
from mitorch_service.models.training import Attempt, Training, TrainingRow
from mitorch_service.stores.base import Store


def wait_for_end(store: Store, document: Training | Job, pause: Callable[[], object]) -> TrainingStatus | JobStatus:
    """Reads the status, calling `pause` in between, until the training or job has ended (a controller must run
    elsewhere); returns its status. Raises NotFound."""
    while True:
        if isinstance(document, Training):
            status: TrainingStatus | JobStatus = store.trainings.get_training(document.id).status
            ended = status in ENDED
        else:
            status = store.jobs.get_job(document.id).status
            ended = status in ENDED_JOBS
        if ended:
            return status
        pause()


@dataclass(frozen=True)
class AttemptEnd:
    """An attempt that has ended without the end of its training, which is tried again."""

    training_id: str
    number: int
    outcome: str
    reason: str | None


def ended_between(store: Store, before: Snapshot, after: Snapshot) -> Iterator[Training | AttemptEnd]:
    """The trainings that were active or next in the queue in `before`, are neither in `after`, and have ended: their
    runs report that to the database only. And the attempts that have ended meanwhile without their training."""
    seen = {row.id: row for row in (*after.active, *after.queue)}
    for row in (*before.active, *before.queue):
        now = seen.get(row.id) or _read(store, row.id)
        if now is None:
            continue  # deleted or damaged meanwhile
        for attempt in now.attempts[: now.attempt]:
            if attempt.number >= max(row.attempt, 1) and _was_open(row, attempt) and not _ends(now, attempt):
                yield AttemptEnd(row.id, attempt.number, str(attempt.outcome), attempt.reason)
        if isinstance(now, Training) and now.status in ENDED:
            yield now


def reason_of(store: Store, document: Training | Job) -> str | None:
    """The reason of an end, in the words of what ended it; None for one that needs none. Raises NotFound."""
    if isinstance(document, Job):
        job = store.jobs.get_job(document.id)
        return job.error or job.note
    training = store.trainings.get_training(document.id)
    attempt = training.current_attempt()
    if training.error is not None:
        return training.error.message
    return attempt.reason if attempt is not None else None


def _read(store: Store, id: str) -> Training | None:
    try:
        return store.trainings.get_training(id)
    except (NotFound, BrokenDocument):
        return None


def _was_open(row: TrainingRow, attempt: Attempt) -> bool:
    """Whether an attempt that has ended now had not when `row` was read."""
    before = row.attempts[attempt.number - 1] if attempt.number <= len(row.attempts) else None
    return attempt.outcome is not None and (before is None or before.outcome is None)


def _ends(training: TrainingRow, attempt: Attempt) -> bool:
    """Whether the end of the attempt is that of the training."""
    return training.status in ENDED and attempt.number == training.attempt
