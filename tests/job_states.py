"""Jobs as a pass of the controller observes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitorch_service.controller.plan.search.expansion import study_of
from mitorch_service.controller.plan.snapshot import JobState
from mitorch_service.models.search.job import BestTrial, Job
from mitorch_service.search.base import Study
from mitorch_service.search.space.space import parse_space


def a_study(job: Job) -> Study:
    """The study of a job, with its space."""
    return study_of(job, parse_space(job.config)[0])


def a_job_state(
    job: Job, counts: Mapping[str, int] = {}, last_number: int | None = None, best: BestTrial | None = None, **more: Any
) -> JobState:
    """The state of a job with these trials."""
    _, problems = parse_space(job.config)
    return JobState(job, a_study(job), counts, last_number, best, space_problems=problems, **more)
