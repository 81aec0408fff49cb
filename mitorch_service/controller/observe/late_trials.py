"""Finds trials that were added to a job that had ended.

A pass that is suspended between its plan and its writes may add trials long after another pass has ended their job. No
guard of one document can prevent that. So whoever adds trials looks at their job afterwards, and whoever ends a job at
its trials: one sees the other. If that one dies, the trial is found when it comes to its turn. It is canceled.

Passes that have seen the job alive may start or cancel such trials meanwhile. So the trials of each job that has ended
are counted again some time later, and those that go on are canceled: see apply/recount.py. What such a pass does more
than two hours after the end of the job is not looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.controller.plan.snapshot import JobState
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store


def late_trials(store: Store, queue: Sequence[TrainingRow], active: Sequence[JobState]) -> frozenset[str]:
    """Returns the ids of such trials and final trainings. `active`: jobs that are known to go on."""
    known = {state.job.id for state in active}
    fresh = {row.id: row.belongs_to for row in queue if row.belongs_to not in known and is_fresh(row)}
    ended = store.jobs.ended_among([*dict.fromkeys(job for job in fresh.values() if job is not None)])
    return frozenset(id for id, job in fresh.items() if job in ended)


def is_fresh(row: TrainingRow) -> bool:
    """Whether it has never ended: a trial that a person has retried is theirs to want."""
    return not any(status in row.status_times for status in ENDED)
