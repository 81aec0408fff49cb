"""What a pass can do: the plan's answer, and what the loop applies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.controller.plan.paused_trials import ResumeTrial
from mitorch_service.models.job import BestTrial, SettledCost
from mitorch_service.models.pareto_front import FrontTrial
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import (
    Attempt,
    Resources,
    Training,
)
from mitorch_service.stores.rungs import RungRecord


@dataclass(frozen=True)
class AddTrials:
    """Create these trials of a job, those that exist excepted."""

    job_id: str
    trainings: tuple[Training, ...]


@dataclass(frozen=True)
class AddRefit:
    """Create the final training of a job, unless it exists."""

    job_id: str
    training: Training


@dataclass(frozen=True)
class ForgetPaused:
    """Take the mark from a trial that does not wait any more."""

    record: RungRecord


@dataclass(frozen=True)
class UpdateJob:
    """Show how far a job is."""

    job_id: str
    counts: Mapping[str, int]
    best: BestTrial | None


@dataclass(frozen=True)
class SettleCost:
    """Remember what of a job's cost is final, unless another pass has done so, and what a person should know of it."""

    job_id: str
    before: SettledCost | None
    settled: SettledCost | None
    note: str | None
    news: str | None = None  # the note, where it is new


@dataclass(frozen=True)
class NoteJob:
    """Show what a person should know of a job."""

    job_id: str
    note: str


@dataclass(frozen=True)
class MergeFront:
    """Store the Pareto front of a job in place of an earlier version, then note which trials it has been told of."""

    job_id: str
    version: int | None
    front: Sequence[FrontTrial]
    told: Sequence[str]  # training ids


@dataclass(frozen=True)
class FinishJob:
    """End a job."""

    job_id: str
    status: JobStatus
    error: str | None
    counts: Mapping[str, int]
    best: BestTrial | None
    front: Sequence[FrontTrial] = ()
    front_version: int | None = None
    pauses: bool = False  # its trials have left states to go on from, which nobody needs any more


@dataclass(frozen=True)
class Launch:
    """Claim a new training for a cluster and submit its run."""

    training_id: str
    attempt: Attempt
    resources: Resources | None = None


@dataclass(frozen=True)
class Submit:
    """Submit the run of a training that was claimed earlier but is unknown to its cluster."""

    training_id: str
    attempt: Attempt
    resources: Resources | None = None


@dataclass(frozen=True)
class CancelTraining:
    """Cancel a training of a job that is being canceled, or has spent its budget before the training began."""

    training_id: str


@dataclass(frozen=True)
class CancelRun:
    """Ask a run to end, because a person wants its training canceled."""

    training_id: str
    attempt: Attempt


@dataclass(frozen=True)
class EndAttempt:
    """A run is over without having said so itself."""

    training_id: str
    attempt: Attempt
    outcome: AttemptOutcome
    status: TrainingStatus
    reason: str


Action = (
    AddTrials
    | AddRefit
    | ResumeTrial
    | ForgetPaused
    | UpdateJob
    | SettleCost
    | NoteJob
    | MergeFront
    | FinishJob
    | Launch
    | Submit
    | CancelTraining
    | CancelRun
    | EndAttempt
)
