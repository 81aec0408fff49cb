"""A job: a hyper-parameter search that becomes trainings (its trials)."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from mitorch_service.models.base import ConfigSection, Document, UtcTime
from mitorch_service.models.dataset import DatasetChoice, DatasetRef
from mitorch_service.models.early_stopping import EarlyStopping
from mitorch_service.models.objectives import Direction, Directions, Objectives, usual_direction
from mitorch_service.models.pareto_front import FrontTrial
from mitorch_service.models.population import PopulationConfig
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import DEFAULT_PRIORITY

Algorithm = Literal["auto", "grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2", "pbt"]
LEARNING = ("auto", "tpe", "gp", "cmaes", "nsga2")  # what ended trials show decides which ones come next
MAX_INITIAL = 500  # trials: of a long history an algorithm is told so many at least (controller/history.py)
MAX_OPEN_WITHIN_BUDGET = 200  # trials, unless max_concurrent says otherwise
_LEARNING_OPEN, _LEARNING_SHARE = 8, 8  # an eighth of the trials, at least 8, where the algorithm learns
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """``"90m"`` is 5400."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value) if isinstance(value, str) else None
    if isinstance(value, str) and found is None:
        raise ValueError('must be seconds, or a number with s, m, h or d, such as "2h"')
    return value if found is None else float(found[1]) * _SECONDS[found[2]]


def _switched(value: Any) -> Any:
    """``true`` is the section with its defaults, ``false`` none."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


def _is_none(value: object) -> bool:
    return value is None


class SearchConfig(ConfigSection):
    """How a job searches."""

    algorithm: Algorithm = "auto"
    objective: Objectives = "val_loss"  # or the name of a metric, or several in a list
    direction: Directions = None  # of several a list; default: minimize losses, maximize metrics
    max_trials: Annotated[int, Field(ge=1, le=1_000_000)]
    max_concurrent: Annotated[int, Field(ge=1)] | None = None  # trials not yet ended at one time; None: no limit
    max_failed: Annotated[int, Field(ge=0)] | None = None  # more failed trials than this end the job; None: no limit
    max_time: Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=1e9)] | None = (
        None  # no trial is created later
    )
    max_cost: Annotated[float, Field(gt=0, le=1e9)] | None = None  # no trial starts once it is spent
    early_stopping: Annotated[EarlyStopping | None, BeforeValidator(_switched)] = None  # None: all run to the end
    resume_promoted: bool = False  # early stopping only pauses: the best go on from their checkpoints
    population: PopulationConfig = PopulationConfig()  # of the algorithm pbt
    # So many end before the algorithm learns; until then points are drawn evenly. None: its own number.
    initial_trials: Annotated[int, Field(ge=1, le=MAX_INITIAL)] | None = None
    # A final training of the winner: a merge patch of its config (RFC 7396: null removes). None: no such training.
    # It follows when max_time is over, too, but not when max_cost is spent.
    refit: Annotated[dict[str, Any] | None, BeforeValidator(_switched)] = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None  # None: drawn at submission and stored
    warm_start: Annotated[list[str], Field(max_length=100)] = []  # jobs and trials to learn from, by id
    enqueue: Annotated[list[dict[str, Any]], Field(max_length=1000)] = []  # parameters of the first trials

    def objectives(self) -> tuple[str, ...]:
        """The names of all objectives."""
        return (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)

    def directions(self) -> tuple[Direction, ...]:
        """The direction of each objective: the one given, or the usual one."""
        if self.direction is None:
            return tuple(map(usual_direction, self.objectives()))
        return tuple(self.direction) if isinstance(self.direction, list) else (self.direction,)

    def resolved_direction(self) -> Direction:
        """The direction of the first objective, or the only one."""
        return self.directions()[0]

    def goal(self) -> str:
        """``minimize val_loss and maximize top1_accuracy``"""
        return " and ".join(map(" ".join, zip(self.directions(), self.objectives(), strict=True)))

    @field_validator("direction")
    @classmethod
    def _one_for_each_objective(cls, value: Directions, info: ValidationInfo) -> Directions:
        objective = info.data.get("objective")
        wanted = len(objective) if isinstance(objective, list) else 1
        given = len(value) if isinstance(value, list) else 1
        if value is not None and objective is not None and given != wanted:
            raise ValueError(f"has {given} for {wanted} objectives; write a list with one for each, or leave it out")
        return value

    @model_validator(mode="after")
    def _initial_trials_are_for_those_that_learn(self) -> SearchConfig:
        if self.initial_trials is not None and self.algorithm not in LEARNING:
            raise ValueError(f"initial_trials is for algorithms that learn ({', '.join(LEARNING)}): remove it")
        return self

    @property
    def pauses(self) -> bool:
        """Whether trials stop on their way and are taken on later."""
        return self.resume_promoted or self.algorithm == "pbt"

    @model_validator(mode="before")
    @classmethod
    def _promotion_has_a_rule(cls, data: Any) -> Any:
        """The default one, unless it is given."""
        if isinstance(data, dict) and data.get("resume_promoted") is True and data.get("early_stopping") is None:
            return {**data, "early_stopping": {}}
        return data

    @model_validator(mode="before")
    @classmethod
    def _what_is_open_is_limited(cls, data: Any) -> Any:
        """Otherwise all trials would be created before the first has cost, or taught, anything."""
        if not isinstance(data, dict) or data.get("max_concurrent") is not None:
            return data
        limits = [MAX_OPEN_WITHIN_BUDGET] if data.get("max_cost") is not None else []
        trials = data.get("max_trials")
        if data.get("algorithm", "auto") in LEARNING and isinstance(trials, int):
            limits.append(max(_LEARNING_OPEN, trials // _LEARNING_SHARE))
        return {**data, "max_concurrent": min(limits)} if limits else data


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
    model: str | None = None  # where its weights are, or those of its final training
    refit: str | None = None  # the id of its final training (`search.refit`), once that is completed
    refit_value: float | None = None  # what that reached


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
    front: list[FrontTrial] | None = Field(None, exclude_if=_is_none)  # so far; only of several objectives
    front_version: int | None = Field(None, exclude_if=_is_none)  # how often the front was written: guards it
    error: str | None = None
    cancel_requested_at: UtcTime | None = None
    settled: SettledCost | None = None  # kept only where the search has a max_cost
    note: str | None = None  # something that a person should know, which is no error
    artifacts: dict[str, str] = Field(
        default_factory=dict
    )  # of a completed one: "model", the best trial's weights; of a front each


def trial_id(job_id: str, number: int) -> str:
    """The training id of a job's trial: the same whoever creates it, so that it is created once."""
    return str(uuid.uuid5(uuid.UUID(job_id), f"trial {number}"))


def refit_id(job_id: str) -> str:
    """The id of a job's final training: the same whoever creates it."""
    return str(uuid.uuid5(uuid.UUID(job_id), "refit"))
