"""Which trials of a job come next."""

from __future__ import annotations

from datetime import datetime

from mitorch_service.controller.submission import new_training
from mitorch_service.models.job import Job, trial_id
from mitorch_service.models.training import Training, Trial
from mitorch_service.search.random import suggest
from mitorch_service.search.space import Space, parse_space

TRIALS_A_PASS = 200  # bounds the time of a pass; the next one goes on


def expand(job: Job, last_number: int | None, open_count: int, now: datetime) -> tuple[Training, ...]:
    """The trials to create now, within `max_trials` and `max_concurrent`. Ids and parameters follow from the job
    alone, so that two passes at once, or one repeated after a crash, create the same trials once."""
    first = 0 if last_number is None else last_number + 1
    room = job.search.max_trials - first
    if job.search.max_concurrent is not None:
        room = min(room, job.search.max_concurrent - open_count)
    space, problems = parse_space(job.config)
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    return tuple(_trial(job, space, number, now) for number in range(first, first + min(room, TRIALS_A_PASS)))


def _trial(job: Job, space: Space, number: int, now: datetime) -> Training:
    config, parameters = suggest(space, job.search.seed or 0, number)
    trial = Trial(
        number=number,
        parameters=parameters,
        objective=job.search.objective,
        direction=job.search.resolved_direction(),
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
