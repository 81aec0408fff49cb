"""The Pareto front of a job with several objectives, kept up to date by the passes of the controller.

A pass reads the trials that ended since the front was stored (an indexed query, in stores/search/pareto_fronts.py), not
those that the front covers already. The job is read before them, and its front is written only over the version that
was read: so a front covers every trial whose mark is gone, whichever passes overlap or die.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from mitorch_service.controller.plan.actions import MergeFront
from mitorch_service.models.search.job import Job
from mitorch_service.models.search.pareto_front import FrontTrial
from mitorch_service.models.training import TrainingRow, TrialRow
from mitorch_service.search.pareto_merge import MOST, merged
from mitorch_service.stores.base import Store

MERGED_A_PASS = 1000  # trials; the next pass merges more
_FEWEST = 10
_PARAMETER_BYTES = 4_000_000  # of a front, about: it is a part of the job's document


def read_merge(store: Store, job: Job) -> MergeFront | None:
    """Returns the merge of an active job's front with the trials that ended since; None if there are none."""
    if len(job.search.objectives()) == 1:
        return None
    ended = _unmerged(store, job)
    if not ended:
        return None
    return MergeFront(job.id, job.front_version, _merged(job, ended), [row.id for row in ended])


def store_merge(store: Store, merge: MergeFront) -> bool:
    """Returns False if another pass was faster: the next one continues from there."""
    stored = store.fronts.store_front(merge.job_id, merge.version, merge.front)
    if stored:
        store.fronts.mark_merged(merge.merged)
    return stored


def current_front(store: Store, job: Job) -> list[FrontTrial]:
    """Returns the front of a job at this moment. No pass keeps one for a study that an Optuna script runs: its trials
    are read, a page at a time."""
    if job.front is None:
        return _merged(job, store.jobs.iterate_trials(job.id))
    return _merged(job, _unmerged(store, job))


def _unmerged(store: Store, job: Job) -> list[TrainingRow]:
    return sorted(store.fronts.unmerged_trials(job.id, MERGED_A_PASS).items, key=lambda row: row.arrival)


def _merged(job: Job, rows: Iterable[TrainingRow | TrialRow]) -> list[FrontTrial]:
    """The more bytes a trial's parameters may take, the fewer trials are kept."""
    most = max(_FEWEST, min(MOST, _PARAMETER_BYTES // max(len(json.dumps(job.config)), 1)))
    directions = job.search.directions()
    return merged(job.front or [], _front_trials(rows, len(directions)), directions, most)


def _front_trials(rows: Iterable[TrainingRow | TrialRow], objectives: int) -> Iterator[FrontTrial]:
    for row in rows:
        trial = row.trial
        if trial is not None and trial.values is not None and len(trial.values) == objectives:
            yield FrontTrial(
                training_id=row.id,
                number=trial.number,
                values=trial.values,
                parameters=trial.parameters,
                model=row.artifacts.get("model") if isinstance(row, TrainingRow) else None,
            )
