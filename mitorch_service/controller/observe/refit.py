"""Reads the final training of a search."""

from __future__ import annotations

from mitorch_service.controller.plan.search.refit import RefitState
from mitorch_service.errors import BrokenDocument, NotFound
from mitorch_service.models.search.job import Job, refit_id
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store


def read_refit(store: Store, job: Job) -> RefitState | None:
    """Returns None if the job wants none, or has none yet."""
    if job.search.refit is None:
        return None
    try:
        training = store.trainings.get_training(refit_id(job.id))
    except NotFound:
        return None
    except BrokenDocument as error:  # the queue puts it aside, and it has no end of its own
        return RefitState(TrainingStatus.FAILED, str(error))
    return RefitState(training.status, training.error.message if training.error else None, training)
