"""The actions of a pass: the result of the plan, and the input of `apply`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.controller.plan.leaked_runs import Leak
from mitorch_service.controller.plan.search.paused_trials import ResumeTrial
from mitorch_service.models.search.job import BestTrial, Job, SettledCost
from mitorch_service.models.search.pareto_front import FrontTrial
from mitorch_service.models.search.rung import RungRecord
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Attempt, Resources, Training


@dataclass(frozen=True)
class AddTrials:
    """Create these trials of a job, except those that exist."""

    job_id: str
    trainings: tuple[Training, ...]
    starts_job: bool = False  # the job is new, and running from now on


@dataclass(frozen=True)
class AddRefit:
    """Create the final training of a job, unless it exists. Confirmed by a second observation before it is applied."""

    job_id: str
    training: Training


@dataclass(frozen=True)
class ForgetPaused:
    """Clear the mark of a trial that is no longer paused on its rung."""

    record: RungRecord


@dataclass(frozen=True)
class UpdateJob:
    """Store the progress of a job."""

    job_id: str
    counts: Mapping[str, int]
    best: BestTrial | None


@dataclass(frozen=True)
class SettleCost:
    """Store how much of a job's cost is final, and a note for its owner, unless another pass has changed the former."""

    job_id: str
    before: SettledCost | None
    settled: SettledCost | None
    note: str | None
    new_note: str | None = None  # the note, if it differs from the stored one


@dataclass(frozen=True)
class NoteJob:
    """Store a note for the owner of a job."""

    job_id: str
    note: str


@dataclass(frozen=True)
class MergeFront:
    """Store the Pareto front of a job over the version that was read, then mark the trials that it now covers."""

    job_id: str
    version: int | None
    front: Sequence[FrontTrial]
    merged: Sequence[str]  # training ids


@dataclass(frozen=True)
class FinishJob:
    """End a job. If it `pauses`, confirmed by a second observation and preceded by the deletion of checkpoints."""

    job_id: str
    status: JobStatus
    error: str | None
    counts: Mapping[str, int]
    best: BestTrial | None
    front: Sequence[FrontTrial] = ()
    front_version: int | None = None
    pauses: bool = False  # its paused trials have left checkpoints, which nothing needs any more


@dataclass(frozen=True)
class Launch:
    """Claim a new training for a cluster and submit its run."""

    training_id: str
    attempt: Attempt
    resources: Resources | None = None
    of_search: bool = False  # whether it is a trial or a final training
    replaces: Attempt | None = None  # an earlier one, whose run may still exist and is canceled


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
class CancelLate:
    """Cancel a trial or final training that was added after its job had ended."""

    training_id: str
    job_id: str


@dataclass(frozen=True)
class Recount:
    """Count the trials of a job again that has ended, and cancel those that were added since."""

    job: Job

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.job.id


@dataclass(frozen=True)
class CancelRun:
    """Stop the run of a training whose cancellation was requested."""

    training_id: str
    attempt: Attempt


@dataclass(frozen=True)
class CancelLeak:
    """Stop a run that no training knows."""

    leak: Leak


@dataclass(frozen=True)
class NoteFound:
    """Note that the cluster knows the run: its submission could not be recorded, or it was missing for a while."""

    training_id: str
    attempt: Attempt
    url: str | None


@dataclass(frozen=True)
class NoteMissing:
    """Note that the cluster does not know the run any more."""

    training_id: str
    attempt: Attempt


@dataclass(frozen=True)
class NoteSilence:
    """Note that a run gives no sign of life any more; `heard`: the last one, None if there was none."""

    training_id: str
    attempt: Attempt
    heard: datetime | None


@dataclass(frozen=True)
class EndSilentRun:
    """Take from a silent run the right to write, and ask its cluster to end it."""

    training_id: str
    attempt: Attempt


@dataclass(frozen=True)
class EndAttempt:
    """End the attempt of a run that is over without having reported its own end."""

    training_id: str
    attempt: Attempt
    outcome: AttemptOutcome
    status: TrainingStatus
    reason: str
    preempted: bool = False  # lost because its node was taken away
    timed_out: bool = False  # by the time limit of its cluster


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
    | CancelLate
    | Recount
    | CancelRun
    | CancelLeak
    | NoteFound
    | NoteMissing
    | NoteSilence
    | EndSilentRun
    | EndAttempt
)
