"""The stored document of a training: its config, its attempts and its results."""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from mitorch_service.models.base import Document, Id, JsonObject, UtcTime
from mitorch_service.models.config.early_stopping import EarlyStopping
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.fair_share.share import shares_of
from mitorch_service.models.imported import ImportedFrom
from mitorch_service.models.schema_versions import read_old_pause
from mitorch_service.models.search.population import Inheritance
from mitorch_service.models.status import ACTIVE, ENDED, AttemptOutcome, TrainingStatus

DEFAULT_PRIORITY = 100
DEFAULT_MAX_EPOCHS = 30
MAX_ATTEMPTS = 200  # of all kinds; bounds the size of the document


ClusterNames = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


def _is_none(value: object) -> bool:
    return value is None


class Resources(Document):
    """The resources that a training needs, copied from its config for placement."""

    gpus: int | None = None  # per node; None: all that a node has
    nodes: int = 1
    memory: float | None = None  # GiB per node
    cluster: ClusterNames | None = None  # only these
    compute: str | None = Field(None, exclude_if=_is_none)  # of Azure ML: another one than the cluster's
    image: str | None = Field(None, exclude_if=_is_none)  # of Azure ML: a Docker image, or a registered environment
    experiment: str | None = Field(None, exclude_if=_is_none)  # of Azure ML: under which the run is listed


def _is_empty(value: object) -> bool:
    return not value


class Attempt(Document):
    """A launch of a training on a cluster. Its number is the fencing token of its run."""

    number: int
    cluster: str
    run_name: str
    queued_at: UtcTime
    submitted_at: UtcTime | None = None  # None: claimed, but not known to have reached the cluster
    begun_at: UtcTime | None = Field(None, exclude_if=_is_empty)  # when its process first reached the database
    started_at: UtcTime | None = None  # when its training started
    ended_at: UtcTime | None = None
    url: str | None = None  # where a person can view the run
    outcome: AttemptOutcome | None = None
    reason: str | None = None
    nodes: int = 1
    price: float | None = None  # per node and hour at the time of the claim; None: not recorded
    kept: bool = Field(False, exclude_if=_is_empty)  # its finished work waits on its cluster to be delivered
    behind: str | None = Field(None, exclude_if=_is_empty)  # the training whose reserved nodes it has meanwhile
    missing_at: UtcTime | None = Field(None, exclude_if=_is_empty)  # when a pass noted that its cluster has no such run
    silent_at: UtcTime | None = Field(None, exclude_if=_is_empty)  # when a pass noted that its run had fallen silent
    of_data: bool = Field(False, exclude_if=_is_empty)  # its data set's storage refused it: not the cluster's trouble
    preempted: bool = Field(False, exclude_if=_is_empty)  # lost because its node was taken away, or at a time limit
    timed_out: bool = Field(False, exclude_if=_is_empty)  # preempted by its cluster's time limit
    epoch: int | None = Field(None, exclude_if=_is_none)  # the last one that was recorded when it was lost or retried

    @property
    def has_begun(self) -> bool:
        """Whether its process has run, and not only its cluster's preparations."""
        return self.begun_at is not None or self.started_at is not None

    def not_before(self, at: datetime) -> datetime:
        """Returns `at`, or the latest time of this attempt if that is later: its writers' clocks may differ."""
        return max(at, *filter(None, (self.queued_at, self.submitted_at, self.started_at)))


class Trial(Document):
    """A training's role as a trial of its job."""

    number: int  # counted from 0
    parameters: JsonObject  # the parameters suggested for this trial, readable
    options: dict[str, int] = Field(default_factory=dict, exclude_if=_is_empty)  # of its choices, by position
    objective: str  # the first, if there are several
    direction: Literal["minimize", "maximize"]
    value: float | None = None  # the final objective, if it is finite and the only one
    objectives: list[str] = Field(default_factory=list, exclude_if=_is_empty)  # all, if there are several
    values: list[float] | None = Field(None, exclude_if=_is_empty)  # the final ones, if several and all finite
    unmerged: str | None = Field(None, exclude_if=_is_empty)  # the job, until its front includes the values
    curve: dict[str, float] = Field(default_factory=dict)  # epoch -> best objective until then, for some epochs
    early_stopping: EarlyStopping | None = None  # the job's, so that a run need not read the job
    rungs: list[int] = Field(default_factory=list, exclude_if=_is_empty)  # epochs after which it is compared
    pause_at: int | None = Field(  # the epoch after which it pauses; None: it runs to its end
        None,
        exclude_if=_is_none,
        validation_alias=AliasChoices("pause_at", "until"),  # the name until version 0.1
    )
    lineage: list[Inheritance] | None = Field(  # the members of a population whose states it has copied
        None, exclude_if=_is_none
    )

    def all_objectives(self) -> list[str]:
        """Returns the names of all objectives."""
        return self.objectives or [self.objective]


class Refit(Document):
    """The search and the trial whose parameters a final training uses."""

    job_id: str
    number: int  # of the best trial
    parameters: JsonObject


class TrainingErrorInfo(Document):
    """The reason why a training failed, for a person."""

    type: str
    message: str
    log_tail: list[str] = Field(default_factory=list)


class Progress(Document):
    """The last reported progress of a running training."""

    epoch: int
    max_epochs: int
    train_loss: float | None = None
    val_loss: float | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    epoch_seconds: float | None = None  # that the epoch took
    step: int | None = Field(None, exclude_if=_is_none)  # steps done, of a training by steps
    at: UtcTime


class StepProgress(Document):
    """The last step of a running training whose steps somebody follows, about a second old."""

    attempt: int
    epoch: int  # the one that it is in, from 1
    step: int  # the last whole one of the epoch; 0: none yet
    steps: int  # of the epoch
    loss: float | None = None  # of the step's batch


class TrialRow(Document):
    """The fields of a trial that a search needs."""

    stored_as: ClassVar[str] = "training"

    id: Id
    status: TrainingStatus
    arrival: int
    trial: Trial
    max_epochs: int = 0
    progress: Progress | None = None
    evaluation: dict[str, float] | None = None
    error: TrainingErrorInfo | None = None

    _old_pause = model_validator(mode="before")(read_old_pause)


def epochs_text(done: int, of: int) -> str:
    """Returns ``3/10``, or ``3`` if the total is not known (0)."""
    return f"{done}/{of}" if of else str(done)


def done_text(row: TrainingRow) -> str:
    """Returns how much of the training is done: ``3/10`` epochs, or ``300/1000 steps`` of a training by steps."""
    done, total = row.done()
    return epochs_text(done, total) if row.max_steps is None else f"{done}/{total} steps"


class TrainingRow(Document):
    """A training without its config and error text, for tables, the queue and the controller."""

    stored_as: ClassVar[str] = "training"

    id: Id
    status: TrainingStatus
    priority: int = DEFAULT_PRIORITY  # lower numbers first
    submitted_by: str | None = None  # a person's name, of a trial the job's
    arrival: int  # microseconds since 1970 at submission, distinct within a process; orders the queue
    created_at: UtcTime
    status_times: dict[str, UtcTime] = Field(default_factory=dict)  # when each status was last entered
    dataset: DatasetRef
    name: str | None = None
    tags: list[str] = Field(default_factory=list)  # each "key=value"
    job_id: str | None = None
    trial: Trial | None = None
    refit: Refit | None = None  # set for a search's final training, which is not a trial and has no `job_id`
    attempt: int = 0  # the current attempt's number; 0 before the first
    attempts: list[Attempt] = Field(default_factory=list)  # attempt n is at index n - 1
    fence: int = 0  # the fencing token: the attempt whose run may write; 0: none
    worker: str | None = None  # the only process that may write for that run
    budget_from: int = 0  # attempts up to this one do not count against the retry limits (set by a retry)
    max_retries: int = 0
    max_epochs: int = 0
    max_steps: int | None = Field(None, exclude_if=_is_none)  # set if it trains by steps
    resources: Resources | None = None  # None: one node of any cluster
    progress: Progress | None = None
    heartbeat_at: UtcTime | None = Field(None, exclude_if=_is_empty)  # the run's last sign of life between epochs
    evaluation: dict[str, float] | None = None
    cancel_requested_at: UtcTime | None = None
    artifacts: dict[str, str] = Field(default_factory=dict)  # name -> address
    user_note: str | None = Field(None, exclude_if=_is_none)  # by a person, for people
    announce_end: bool | None = Field(None, exclude_if=_is_none)  # whether a webhook is to be told of its end
    reports_steps: bool = Field(False, exclude_if=_is_empty)  # whether the run records its steps, once a second
    step: StepProgress | None = Field(None, exclude_if=_is_none)
    imported_from: ImportedFrom | None = Field(None, exclude_if=_is_none)  # set if another system ran it

    _old_pause = model_validator(mode="before")(read_old_pause)

    def to_document(self) -> dict[str, Any]:
        """Adds its shares and the time of its end, by which indexes order trainings."""
        ended = self.ended_at
        document = {**super().to_document(), "shares": shares_of(self.tags, self.submitted_by)}
        return document if ended is None else {**document, "ended_at": ended}

    @property
    def ended_at(self) -> datetime | None:
        """The time of its end; None if it has not ended, or nobody knows when."""
        return self.status_times.get(self.status) if self.status in ENDED else None

    @property
    def belongs_to(self) -> str | None:
        """The id of the job whose trial or final training this is, or None."""
        return self.job_id if self.refit is None else self.refit.job_id

    def done(self) -> tuple[int, int]:
        """Returns the epochs, or of a training by steps the steps, that are done, and their total (0: not known)."""
        progress = self.progress
        if self.max_steps is not None:
            return (progress.step if progress else None) or 0, self.max_steps
        return 0 if progress is None else progress.epoch, self.max_epochs

    def current_attempt(self) -> Attempt | None:
        """Returns the current attempt, or None before the first."""
        return self.attempts[self.attempt - 1] if 0 < self.attempt <= len(self.attempts) else None

    def epochs_seen(self) -> int | None:
        """Returns the last epoch that is recorded; None if there is none."""
        return None if self.progress is None else self.progress.epoch

    def last_sign_of_life(self) -> datetime | None:
        """Returns when the current attempt's run last wrote; None if it has not."""
        attempt = self.current_attempt()
        if attempt is None or attempt.started_at is None:
            return None
        reported = None if self.progress is None else self.progress.at
        return max(filter(None, (attempt.started_at, self.heartbeat_at, reported)))

    def contradiction(self) -> str | None:
        """Returns the reason why its status and its attempts cannot both be right; None if they can."""
        least = 1 if self.status in ACTIVE else 0
        if least <= self.attempt <= len(self.attempts):
            return None
        return f"it is {self.status}, but has no attempt {self.attempt}"

    def is_paused(self) -> bool:
        """Whether its search may still resume it, or might have until the job ended."""
        return self.status == TrainingStatus.PAUSED

    def kept_on(self) -> str | None:
        """Returns the cluster on whose disk its finished work waits to be delivered, or None."""
        for attempt in reversed(self.attempts):
            if attempt.outcome != AttemptOutcome.BLOCKED or attempt.number <= self.budget_from:
                return None
            if attempt.kept:
                return attempt.cluster
        return None

    def last_in_a_row(self, outcome: AttemptOutcome) -> int:
        """Returns the number of last ended attempts since the last retry that ended with this outcome."""
        ended = [a.outcome for a in self.attempts if a.number > self.budget_from and a.outcome is not None]
        return next((n for n, one in enumerate(reversed(ended)) if one != outcome), len(ended))

    def attempts_ended_as(self, outcome: AttemptOutcome) -> int:
        """Returns the number of attempts since the last retry that ended with this outcome."""
        return sum(a.outcome == outcome for a in self.attempts if a.number > self.budget_from)


class Training(TrainingRow):
    """A document of the collection `trainings`."""

    config: JsonObject
    error: TrainingErrorInfo | None = None


RUN_TAGS = ("mitorch", "training", "attempt", "nodes")  # of every run in a cloud, set when it is submitted


def run_name(training_id: str, attempt: int) -> str:
    """Returns the name of an attempt's run, on every backend."""
    return f"mt-{training_id}-a{attempt}"


def run_of(name: str) -> tuple[str, int] | None:
    """Returns the training id and the attempt of a run by its name; None for one that is no run of ours."""
    found = _RUN_NAME.fullmatch(name)
    return None if found is None else (found[1], int(found[2]))


def attempt_of_run(name: str) -> tuple[str, int]:
    """Returns the training and the number of the attempt whose run has this name."""
    training_id, _, attempt = name.removeprefix("mt-").rpartition("-a")
    return training_id, int(attempt)


_RUN_NAME = re.compile(r"mt-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-a([1-9]\d*)")
_arrival_lock = threading.Lock()
_last_arrival = 0


def next_arrival() -> int:
    """Returns microseconds since 1970, increasing with every call in this process."""
    global _last_arrival  # noqa: PLW0603 - one counter per process is intended
    with _arrival_lock:
        _last_arrival = max(time.time_ns() // 1000, _last_arrival + 1)
        return _last_arrival
