"""Creates the next trials of a job from its space and the history of its search. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mitorch_service.controller.plan.search.paused_trials import rungs_of
from mitorch_service.models.new_training import new_training
from mitorch_service.models.search.job import LEARNING, Job, trial_id
from mitorch_service.models.training import Training, Trial
from mitorch_service.search.base import History, Study, TrialRecord, suggest
from mitorch_service.search.samplers.registry import sampler
from mitorch_service.search.samplers.threads import one_blas_thread
from mitorch_service.search.space.space import Point, Space

TRIALS_A_PASS = 200  # bounds the time of a pass; the next one creates more
LEARNED_A_PASS = 32  # the same for samplers that compute each suggestion from the history


def expand(
    job: Job,
    study: Study,
    last_number: int | None,
    open_count: int,
    now: datetime,
    records: Sequence[TrialRecord] = (),
    failed: int = 0,
) -> tuple[Training, ...]:
    """Returns the trials to create now; fewer than there is room for once a finite space is exhausted.

    `last_number`: the highest trial number created; `open_count`, `failed`: trials that have not ended, or ended badly.
    Ids follow from the job alone, and parameters from the job and the `records` (see observe/history.py), so that
    overlapping passes, or one repeated after a crash, create the same trials once. Raises MissingExtra; ValueError,
    LookupError, TypeError or ArithmeticError for a config that was edited by hand."""
    algorithm = sampler(job.search.algorithm, study)
    history = History(study, records)
    first = 0 if last_number is None else last_number + 1
    trials: list[Training] = []
    with one_blas_thread():
        for number in range(first, first + room(job, last_number, open_count, failed)):
            point = suggest(algorithm, history, number)
            if point is None:
                break
            trials.append(_trial(job, study.space, point, number, now))
    return tuple(trials)


def room(job: Job, last_number: int | None, open_count: int, failed: int = 0) -> int:
    """Returns how many trials may be created now. Failed ones are replaced, up to `max_failed`; failed members of a
    population are not, as they are resumed from another member's state."""
    search = job.search
    replaced = 0 if search.max_failed is None or search.algorithm == "pbt" else min(failed, search.max_failed)
    wanted = search.max_trials + replaced
    left = wanted - (0 if last_number is None else last_number + 1)
    if search.max_concurrent is not None:
        left = min(left, search.max_concurrent - open_count)
    return max(min(left, LEARNED_A_PASS if search.algorithm in LEARNING else TRIALS_A_PASS), 0)


def study_of(job: Job, space: Space) -> Study:
    """Returns the job as the search room sees it."""
    search = job.search
    return Study(
        space,
        search.seed or 0,
        search.max_trials,
        search.directions(),
        tuple(search.enqueue),
        initial_trials=search.initial_trials,
    )


def _trial(job: Job, space: Space, point: Point, number: int, now: datetime) -> Training:
    config, parameters = space.at(point)
    objectives = job.search.objectives()
    rungs = rungs_of(job)
    trial = Trial(
        number=number,
        parameters=parameters,
        options=space.options(point),
        objective=objectives[0],
        direction=job.search.resolved_direction(),
        objectives=list(objectives) if len(objectives) > 1 else [],
        early_stopping=None if job.search.pauses else job.search.early_stopping,  # else it is the rule of promotion
        rungs=rungs,
        pause_at=rungs[0] if rungs else None,
        lineage=[] if job.search.algorithm == "pbt" else None,
    )
    return new_training(
        trial_id(job.id, number),
        config,
        job.dataset,
        now,
        job.arrival + number,  # a job keeps its place in the queue, its trials in the order of their numbers
        priority=job.priority,
        name=job.name,
        tags=job.tags,
        submitted_by=job.submitted_by,
        job_id=job.id,
        trial=trial,
    )
