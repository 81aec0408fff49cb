"""Corrects the counts of an ended job to which a suspended pass has added trials: see observe/late_trials.py."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from mitorch_service.controller.observe.late_trials import is_fresh
from mitorch_service.errors import BrokenDocument, NotFound
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store

_LATE_TRIALS = 1000
_TIMES = 5  # that another pass may be faster


def count_late(store: Store, job_id: str) -> list[TrainingRow]:
    """Returns the late trials of an ended job, which are about to be canceled, and counts them as that before: a pass
    that dies in between leaves trials that another one finds, and never counts that nobody looks at again."""
    late: list[TrainingRow] = []
    with suppress(NotFound, BrokenDocument):  # deleted meanwhile, or set aside: then nobody can read its counts
        for _ in range(_TIMES):
            late = [trial for trial in store.jobs.open_trials(job_id, _LATE_TRIALS).items if is_fresh(trial)]
            job = store.jobs.get_job(job_id)
            counts = Counter(store.trainings.count_trainings(job_id))
            counts.subtract(trial.status for trial in late)
            counts[TrainingStatus.CANCELED.value] += len(late)
            if store.jobs.correct_counts(job, {status: number for status, number in counts.items() if number > 0}):
                break
    return late
