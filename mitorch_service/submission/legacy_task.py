"""The original's search files: ``{"name": "random_search", "max_trainings": 20, "config": {…}}``, with expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.validation import check


class Task(ConfigSection):
    """A search as the original stores it; its progress there is ignored."""

    name: Literal["random_search"]
    max_trainings: Annotated[int, Field(ge=1, le=1_000_000)]
    config: dict[str, Any]
    status: object = None
    num_trainings: object = None
    state: object = None
    created_at: object = None


def job_of_task(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Returns the equivalent job file, or the problems."""
    task, problems = check(Task, data)
    if task is None:
        return {}, problems
    search = {"algorithm": "random", "max_trials": task.max_trainings}
    return {"job_type": "search", "config": task.config, "search": search}, []
