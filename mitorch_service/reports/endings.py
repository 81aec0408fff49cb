"""Waits for the end of a training or job, and finds the trainings that ended between two passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import BrokenDocument, NotFound
from mitorch_service.models.job import Job
from mitorch_service.models.status import ENDED, ENDED_JOBS, JobStatus, TrainingStatus
from mitorch_service.models.training import Training
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


def ended_between(store: Store, before: Snapshot, after: Snapshot) -> Iterator[Training]:
    """The trainings that were active in `before`, no longer are in `after`, and have ended: their runs report that to
    the database only."""
    still = {training.id for training in after.active}
    for row in before.active:
        if row.id in still:
            continue
        try:
            training = store.trainings.get_training(row.id)
        except (NotFound, BrokenDocument):
            continue  # deleted or damaged meanwhile
        if training.status in ENDED:
            yield training
