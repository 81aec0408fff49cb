"""Which trials of a job come next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from mitorch_service.controller.plan.paused_trials import rungs_of
from mitorch_service.models.job import LEARNING, Job, trial_id
from mitorch_service.models.new_training import new_training
from mitorch_service.models.status import ENDED_BADLY
from mitorch_service.models.training import Training, Trial
from mitorch_service.search.base import History, Study, TrialRecord, suggest
from mitorch_service.search.samplers.registry import sampler
from mitorch_service.search.space.space import Point, Space, parse_space

TRIALS_A_PASS = 200  # bounds the time of a pass; the next one goes on
LEARNED_A_PASS = 32  # the same, where each suggestion is computed from what others have shown


def expand(
    job: Job,
    last_number: int | None,
    open_count: int,
    now: datetime,
    records: Sequence[TrialRecord] = (),
    failed: int = 0,
) -> tuple[Training, ...]:
    """The trials to create now. Ids follow from the job alone, and parameters from the job and the `records` (see
    `history`), so that two passes at once, or one repeated after a crash, create the same trials once. A finite space
    that is exhausted gives fewer. Raises MissingExtra."""
    first = 0 if last_number is None else last_number + 1
    space, problems = parse_space(job.config)
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    study = study_of(job, space)
    algorithm, history = sampler(job.search.algorithm, study), History(study, records)
    trials: list[Training] = []
    for number in range(first, first + room(job, last_number, open_count, failed)):
        point = suggest(algorithm, history, number)
        if point is None:
            break
        trials.append(_trial(job, space, point, number, now))
    return tuple(trials)


def room(job: Job, last_number: int | None, open_count: int, failed: int = 0) -> int:
    """How many trials may be created now. Failed ones are replaced where `max_failed` says how many may fail;
    members of a population, which are taken on instead, are not."""
    search = job.search
    replaced = 0 if search.max_failed is None or search.algorithm == "pbt" else min(failed, search.max_failed)
    wanted = search.max_trials + replaced
    left = wanted - (0 if last_number is None else last_number + 1)
    if search.max_concurrent is not None:
        left = min(left, search.max_concurrent - open_count)
    return max(min(left, LEARNED_A_PASS if search.algorithm in LEARNING else TRIALS_A_PASS), 0)


def is_over(job: Job, now: datetime) -> bool:
    """Whether `max_time` has passed: no more trials are created."""
    limit = job.search.max_time
    return limit is not None and now >= job.created_at + timedelta(seconds=limit)


def failed_count(counts: Mapping[str, int]) -> int:
    """The trials that ended badly."""
    return sum(counts.get(status, 0) for status in ENDED_BADLY)


def study_of(job: Job, space: Space) -> Study:
    """The job as the search room sees it."""
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
    objectives, rungs = job.search.objectives(), rungs_of(job)
    trial = Trial(
        number=number,
        parameters=parameters,
        objective=objectives[0],
        direction=job.search.resolved_direction(),
        objectives=list(objectives) if len(objectives) > 1 else [],
        early_stopping=None if job.search.pauses else job.search.early_stopping,  # which then is about pauses
        rungs=rungs,
        pause_at=rungs[0] if rungs else None,
        lineage=[] if job.search.algorithm == "pbt" else None,
    )
    return new_training(
        trial_id(job.id, number),
        config,
        job.dataset,
        now,
        job.arrival + number,  # a job keeps its place in the queue, its trials one behind the other
        priority=job.priority,
        name=job.name,
        tags=job.tags,
        job_id=job.id,
        trial=trial,
    )
