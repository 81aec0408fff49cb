"""A training as it is stored: what was asked, every attempt at it, and what came out."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from mitorch_service.models.base import Document, UtcTime
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.early_stopping import EarlyStopping
from mitorch_service.models.population import Inheritance
from mitorch_service.models.status import AttemptOutcome, TrainingStatus

DEFAULT_PRIORITY = 100
MAX_LOST_ATTEMPTS = 3  # attempts lost to the infrastructure before a training is failed
MAX_REFUSED_ATTEMPTS = 5  # attempts that no cluster would start
MAX_ATTEMPTS = 200  # of all kinds: bounds the size of the document


ClusterNames = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Resources(Document):
    """What a training needs of a cluster: of its config, what placement looks at."""

    gpus: int | None = None  # of each node; None: whatever a node has
    nodes: int = 1
    memory: float | None = None  # GiB of each node
    cluster: ClusterNames | None = None  # only there


class Attempt(Document):
    """One launch of a training on a cluster. Its number is the fencing token of its run."""

    number: int
    cluster: str
    run_name: str
    queued_at: UtcTime
    submitted_at: UtcTime | None = None  # None: intended, but not known to have reached the cluster
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    url: str | None = None  # where a person can look at the run
    outcome: AttemptOutcome | None = None
    reason: str | None = None
    nodes: int = 1
    price: float | None = None  # of one node for an hour when it was claimed; None: not recorded


def _is_empty(value: object) -> bool:
    return not value


def _is_none(value: object) -> bool:
    return value is None


class Trial(Document):
    """The place of a training within its job."""

    number: int  # 0 is the first
    parameters: dict[str, Any]  # what was drawn for this trial
    objective: str  # of several the first
    direction: Literal["minimize", "maximize"]
    value: float | None = None  # the objective at the end, where it is finite and the only one
    objectives: list[str] = Field(default_factory=list, exclude_if=_is_empty)  # all, where there are several
    values: list[float] | None = Field(None, exclude_if=_is_empty)  # each of several at the end, where all are finite
    unmerged: str | None = Field(None, exclude_if=_is_empty)  # the job, while its front has not been told the values
    curve: dict[str, float] = Field(default_factory=dict)  # epochs -> the best objective up to them, of some epochs
    early_stopping: EarlyStopping | None = None  # the job's, so that a run need not read the job
    rungs: list[int] = Field(default_factory=list, exclude_if=_is_empty)  # epochs after which it may pause, is compared
    pause_at: int | None = Field(  # the epoch after which it pauses, to be resumed by its job; None: it runs to its end
        None,
        exclude_if=_is_none,
        validation_alias=AliasChoices("pause_at", "until"),  # the name until version 0.1
    )
    lineage: list[Inheritance] | None = Field(  # of a population's member: whose states it has continued from
        None, exclude_if=_is_none
    )

    def all_objectives(self) -> list[str]:
        """What it is measured by."""
        return self.objectives or [self.objective]


class Refit(Document):
    """Of the final training of a search: whose parameters it has."""

    job_id: str
    number: int  # of the trial that won
    parameters: dict[str, Any]


class TrainingErrorInfo(Document):
    """Why a training failed, for a person."""

    type: str
    message: str
    log_tail: list[str] = Field(default_factory=list)


class Progress(Document):
    """The last sign of life of a running training."""

    epoch: int
    max_epochs: int
    train_loss: float | None = None
    val_loss: float | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    at: UtcTime


def _read_old_pause(fields: Any) -> Any:
    """Up to version 0.1 a paused trial was stored as pruned, with the epoch after which it paused."""
    if not isinstance(fields, Mapping) or fields.get("status") != TrainingStatus.PRUNED:
        return fields
    trial, times = fields.get("trial"), fields.get("status_times")
    if not isinstance(trial, Mapping) or trial.get("pause_at", trial.get("until")) is None:
        return fields
    if isinstance(times, Mapping) and "pruned" in times:
        times = {"paused": times["pruned"]} | {status: at for status, at in times.items() if status != "pruned"}
    return {**fields, "status": TrainingStatus.PAUSED, "status_times": times}


class TrialRow(Document):
    """A trial as a search sees it."""

    id: str
    status: TrainingStatus
    arrival: int
    trial: Trial
    max_epochs: int = 0
    progress: Progress | None = None
    evaluation: dict[str, float] | None = None
    error: TrainingErrorInfo | None = None

    _old_pause = model_validator(mode="before")(_read_old_pause)


def epochs_text(done: int, of: int) -> str:
    """``3/10``, or ``3`` where nobody has said how many there will be."""
    return f"{done}/{of}" if of else str(done)


class TrainingRow(Document):
    """A training without its config and error text: what tables, the queue and the controller need."""

    id: str
    status: TrainingStatus
    priority: int = DEFAULT_PRIORITY  # lower is first
    arrival: int  # microseconds since 1970 at submission, distinct within a process: who came first
    created_at: UtcTime
    status_times: dict[str, UtcTime] = Field(default_factory=dict)  # when each status was last entered
    dataset: DatasetRef
    name: str | None = None
    tags: list[str] = Field(default_factory=list)  # each "key=value"
    job_id: str | None = None
    trial: Trial | None = None
    refit: Refit | None = None  # a search's final training, which is no trial: it has no `job_id`
    attempt: int = 0  # the current attempt's number; 0 before the first
    attempts: list[Attempt] = Field(default_factory=list)  # attempt n is at index n - 1
    fence: int = 0  # the attempt whose run may write; 0: none
    worker: str | None = None  # the one process that may write for it
    budget_from: int = 0  # attempts up to this one count against no budget (set by a retry)
    max_retries: int = 0
    max_epochs: int = 0
    resources: Resources | None = None  # None: one node of any cluster
    progress: Progress | None = None
    evaluation: dict[str, float] | None = None
    cancel_requested_at: UtcTime | None = None
    artifacts: dict[str, str] = Field(default_factory=dict)  # name -> address

    _old_pause = model_validator(mode="before")(_read_old_pause)

    @property
    def belongs_to(self) -> str | None:
        """The job whose trial or final training it is."""
        return self.job_id if self.refit is None else self.refit.job_id

    def current_attempt(self) -> Attempt | None:
        """The attempt that may run now, or None before the first."""
        return self.attempts[self.attempt - 1] if 0 < self.attempt <= len(self.attempts) else None

    def is_paused(self) -> bool:
        """Whether its search may still resume it, or might have until the job ended."""
        return self.status == TrainingStatus.PAUSED

    def attempts_ended_as(self, outcome: AttemptOutcome) -> int:
        """How many attempts since the last retry ended so."""
        return sum(a.outcome == outcome for a in self.attempts if a.number > self.budget_from)


class Training(TrainingRow):
    """The whole document of `trainings`."""

    config: dict[str, Any]
    error: TrainingErrorInfo | None = None


def run_name(training_id: str, attempt: int) -> str:
    """The name of a run on every backend: the same for the same attempt, whoever submits it."""
    return f"mt-{training_id}-a{attempt}"


_arrival_lock = threading.Lock()
_last_arrival = 0


def next_arrival() -> int:
    """Microseconds since 1970, one more than the last where the clock gave the same."""
    global _last_arrival  # noqa: PLW0603 - one counter a process is the point
    with _arrival_lock:
        _last_arrival = max(time.time_ns() // 1000, _last_arrival + 1)
        return _last_arrival
