"""A job: a hyper-parameter search, which creates trainings (its trials)."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue, ValidationInfo, field_validator, model_validator

from mitorch_service.models.base import ConfigSection, Document, Id, JsonObject, UtcTime
from mitorch_service.models.config.early_stopping import EarlyStopping
from mitorch_service.models.dataset import DatasetChoice, DatasetRef
from mitorch_service.models.search.objectives import Direction, Directions, Objectives, usual_direction
from mitorch_service.models.search.pareto_front import FrontTrial
from mitorch_service.models.search.population import PopulationConfig
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import DEFAULT_PRIORITY

Algorithm = Literal["auto", "grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2", "pbt"]
LEARNING = ("auto", "tpe", "gp", "cmaes", "nsga2")  # suggest trials based on the results of earlier ones
MAX_INITIAL = 500  # trials: an algorithm sees at least this many of a long history (controller/observe/history.py)
MAX_OPEN_WITHIN_BUDGET = 200  # trials, unless max_concurrent is set
_LEARNING_OPEN = 8  # an algorithm that learns has at most this many open trials,
_LEARNING_SHARE = 8  # or 1/8 of all trials, if that is more
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> object:
    """Converts ``"90m"`` to 5400 seconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value) if isinstance(value, str) else None
    if isinstance(value, str) and found is None:
        raise ValueError('must be seconds, or a number with s, m, h or d, such as "2h"')
    return value if found is None else float(found[1]) * _SECONDS[found[2]]


def _switched(value: object) -> object:
    """Converts ``true`` to a section with defaults, ``false`` to None."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


def _is_empty(value: object) -> bool:
    return not value


def _is_none(value: object) -> bool:
    return value is None


class SearchConfig(ConfigSection):
    """The search of a job."""

    algorithm: Algorithm = "auto"  # see docs/search.md
    objective: Objectives = "val_loss"  # or the name of a metric, or several in a list
    direction: Directions = None  # a list for several objectives; None: minimize losses, maximize metrics
    max_trials: Annotated[int, Field(ge=1, le=1_000_000)]  # trainings that the search may create
    max_concurrent: Annotated[int, Field(ge=1)] | None = None  # unfinished trials at a time; None: no limit
    max_failed: Annotated[int, Field(ge=0)] | None = None  # the job fails with more failed trials; None: no limit
    max_time: Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=1e9)] | None = (
        None  # seconds after which no trial is created
    )
    max_cost: Annotated[float, Field(gt=0, le=1e9)] | None = None  # no trial starts once it is spent
    early_stopping: Annotated[EarlyStopping | None, BeforeValidator(_switched)] = None  # None: all run to the end
    resume_promoted: bool = False  # early stopping only pauses trials; the best resume from their checkpoints
    population: PopulationConfig = PopulationConfig()  # for the algorithm pbt
    # Trials drawn evenly from the space before the algorithm learns from results. None: the algorithm's default.
    initial_trials: Annotated[int, Field(ge=1, le=MAX_INITIAL)] | None = None
    # A final training of the best trial: a merge patch (RFC 7396: null removes) of its config. None: no final training.
    # It also runs after max_time, but not after max_cost is spent.
    refit: Annotated[dict[str, JsonValue] | None, BeforeValidator(_switched)] = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None  # None: drawn at submission and stored
    warm_start: Annotated[list[str], Field(max_length=100)] = []  # jobs and trials to learn from, by id
    enqueue: Annotated[list[dict[str, JsonValue]], Field(max_length=1000)] = []  # parameters of the first trials

    def objectives(self) -> tuple[str, ...]:
        """Returns the names of all objectives."""
        return (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)

    def directions(self) -> tuple[Direction, ...]:
        """Returns the direction of each objective: as given, or the usual one."""
        if self.direction is None:
            return tuple(map(usual_direction, self.objectives()))
        return tuple(self.direction) if isinstance(self.direction, list) else (self.direction,)

    def resolved_direction(self) -> Direction:
        """Returns the direction of the first objective."""
        return self.directions()[0]

    def goal(self) -> str:
        """Returns text such as ``minimize val_loss and maximize top1_accuracy``."""
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
        """Whether trials may be paused and resumed."""
        return self.resume_promoted or self.algorithm == "pbt"

    @model_validator(mode="before")
    @classmethod
    def _promotion_has_a_rule(cls, data: object) -> object:
        """Adds the default early stopping if resume_promoted has none."""
        if isinstance(data, dict) and data.get("resume_promoted") is True and data.get("early_stopping") is None:
            return {**data, "early_stopping": {}}
        return data

    @model_validator(mode="before")
    @classmethod
    def _limit_open_trials(cls, data: object) -> object:
        """Sets max_concurrent, so that not all trials are created before the first has results or costs."""
        if not isinstance(data, dict) or data.get("max_concurrent") is not None:
            return data
        limits = [MAX_OPEN_WITHIN_BUDGET] if data.get("max_cost") is not None else []
        trials = data.get("max_trials")
        if data.get("algorithm", "auto") in LEARNING and isinstance(trials, int):
            limits.append(max(_LEARNING_OPEN, trials // _LEARNING_SHARE))
        return {**data, "max_concurrent": min(limits)} if limits else data


class JobConfig(ConfigSection):
    """A job file, recognised by its key ``job_type``."""

    job_type: Literal["search"]  # makes the file a job config
    config: dict[str, JsonValue]  # a training config whose leaves may be search space expressions
    search: SearchConfig
    dataset: DatasetChoice | None = None  # as in a training config


class BestTrial(Document):
    """The best trial so far."""

    training_id: str
    number: int
    value: float
    parameters: JsonObject
    options: dict[str, int] = Field(default_factory=dict, exclude_if=_is_empty)  # of its choices, by position
    model: str | None = None  # the address of its weights, or of its final training's
    refit: str | None = None  # the id of its final training (`search.refit`), once that is completed
    refit_value: float | None = None  # the objective of the final training


class SettledCost(Document):
    """The cost of a job's first trials, which have all ended, so that they need not be read again."""

    below: int = 0  # includes all trials with lower numbers
    cost: float = 0.0


class Job(Document):
    """A document of the collection `jobs`."""

    stored_as: ClassVar[str] = "job"

    id: Id
    job_type: Literal["search"] = "search"
    status: JobStatus
    priority: int = DEFAULT_PRIORITY
    arrival: int
    created_at: UtcTime
    status_times: dict[str, UtcTime] = Field(default_factory=dict)
    dataset: DatasetRef
    name: str | None = None
    tags: list[str] = Field(default_factory=list)
    submitted_by: str | None = None  # a person's name
    config: JsonObject
    search: SearchConfig
    counts: dict[str, int] = Field(default_factory=dict)  # trials by status
    best: BestTrial | None = None
    front: list[FrontTrial] | None = Field(None, exclude_if=_is_none)  # so far; only for several objectives
    front_version: int | None = Field(None, exclude_if=_is_none)  # incremented at each write of the front, as a guard
    error: str | None = None
    cancel_requested_at: UtcTime | None = None
    settled: SettledCost | None = None  # only if the search has a max_cost
    note: str | None = None  # something that a person should know, but not an error
    user_note: str | None = Field(None, exclude_if=_is_none)  # by a person, for people
    announce_end: bool | None = Field(None, exclude_if=_is_none)  # whether a webhook is to be told of its end
    recount_due: int | None = Field(None, exclude_if=_is_none)  # of an ended one, milliseconds since 1970
    artifacts: dict[str, str] = Field(
        default_factory=dict
    )  # of a completed one: "model", the best trial's weights; of a front each


def trial_id(job_id: str, number: int) -> str:
    """Returns the training id of a job's trial, derived from its number, so that it is created only once."""
    return str(uuid.uuid5(uuid.UUID(job_id), f"trial {number}"))


def refit_id(job_id: str) -> str:
    """Returns the id of a job's final training, derived from the job's, so that it is created only once."""
    return str(uuid.uuid5(uuid.UUID(job_id), "refit"))
