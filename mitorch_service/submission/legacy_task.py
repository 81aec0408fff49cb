"""The original's search files, ``{"name": "random_search", "max_trainings": 20, "config": {… {"_choice": […]} …}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.validation import check


class Task(ConfigSection):
    """As the original keeps it in its database; how far it was there says nothing of what is asked for here."""

    name: Literal["random_search"]
    max_trainings: Annotated[int, Field(ge=1, le=1_000_000)]
    config: dict[str, Any]
    status: Any = None
    num_trainings: Any = None
    state: Any = None
    created_at: Any = None


def job_of_task(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The job file that means the same, or what is wrong."""
    task, problems = check(Task, data)
    if task is None:
        return {}, problems
    search = {"algorithm": "random", "max_trials": task.max_trainings}
    return {"job_type": "search", "config": task.config, "search": search}, []
