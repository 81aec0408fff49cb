"""Translates search files of the original MiTorch: ``{"name": "random_search", "max_trainings": 9, "config": {…}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config.validation import check


class Task(ConfigSection):
    """A document of the original's database; the fields about its progress there are ignored."""

    name: Literal["random_search"]
    max_trainings: Annotated[int, Field(ge=1, le=1_000_000)]
    config: dict[str, JsonValue]
    status: JsonValue = None
    num_trainings: JsonValue = None
    state: JsonValue = None
    created_at: JsonValue = None


def job_of_task(data: Mapping[str, JsonValue]) -> tuple[dict[str, JsonValue], list[Problem]]:
    """Translates it to a job file; returns that, or the problems."""
    task, problems = check(Task, data)
    if task is None:
        return {}, problems
    search: dict[str, JsonValue] = {"algorithm": "random", "max_trials": task.max_trainings}
    return {"job_type": "search", "config": task.config, "search": search}, []
