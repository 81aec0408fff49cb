"""A job: a hyper-parameter search that becomes trainings (its trials)."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mitorch_service.models.base import ConfigSection, Document, UtcTime
from mitorch_service.models.dataset import DatasetChoice, DatasetRef
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import DEFAULT_PRIORITY

Direction = Literal["minimize", "maximize"]
MAX_OPEN_WITHIN_BUDGET = 200  # trials, unless max_concurrent says otherwise


class SearchConfig(ConfigSection):
    """How a job searches."""

    algorithm: Literal["random"] = "random"
    objective: Annotated[str, Field(min_length=1)] = "val_loss"  # or the name of a metric
    direction: Direction | None = None  # default: minimize losses, maximize metrics
    max_trials: Annotated[int, Field(ge=1, le=1_000_000)]
    max_concurrent: Annotated[int, Field(ge=1)] | None = None  # trials not yet ended at one time; None: no limit
    max_failed: Annotated[int, Field(ge=0)] | None = None  # more failed trials than this end the job; None: no limit
    max_cost: Annotated[float, Field(gt=0, le=1e9)] | None = None  # no trial starts once it is spent
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None  # None: drawn at submission and stored

    def resolved_direction(self) -> Direction:
        """The direction given, or the usual one of the objective."""
        if self.direction is not None:
            return self.direction
        return "minimize" if self.objective.endswith("loss") else "maximize"

    @model_validator(mode="before")
    @classmethod
    def _a_budget_limits_what_is_open(cls, data: Any) -> Any:
        """Otherwise all trials would be created before the first has cost anything."""
        if isinstance(data, dict) and data.get("max_cost") is not None and data.get("max_concurrent") is None:
            return {**data, "max_concurrent": MAX_OPEN_WITHIN_BUDGET}
        return data


class JobConfig(ConfigSection):
    """A job file: recognised by its key ``job_type``."""

    job_type: Literal["search"]
    config: dict[str, Any]  # a training config in which leaves may be search-space expressions
    search: SearchConfig
    dataset: DatasetChoice | None = None


class BestTrial(Document):
    """The winner so far."""

    training_id: str
    number: int
    value: float
    parameters: dict[str, Any]


class SettledCost(Document):
    """The cost of the first trials of a job, all of which have ended: they need not be read again."""

    below: int = 0  # of all trials with a lower number
    cost: float = 0.0


class Job(Document):
    """The whole document of `jobs`."""

    id: str
    job_type: Literal["search"] = "search"
    status: JobStatus
    priority: int = DEFAULT_PRIORITY
    arrival: int
    created_at: UtcTime
    status_times: dict[str, UtcTime] = Field(default_factory=dict)
    dataset: DatasetRef
    name: str | None = None
    tags: list[str] = Field(default_factory=list)
    config: dict[str, Any]
    search: SearchConfig
    counts: dict[str, int] = Field(default_factory=dict)  # trials by status
    best: BestTrial | None = None
    error: str | None = None
    cancel_requested_at: UtcTime | None = None
    settled: SettledCost | None = None  # kept only where the search has a max_cost
    note: str | None = None  # something that a person should know, which is no error


def trial_id(job_id: str, number: int) -> str:
    """The training id of a job's trial: the same whoever creates it, so that it is created once."""
    return str(uuid.uuid5(uuid.UUID(job_id), f"trial {number}"))
