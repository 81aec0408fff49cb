"""One pass as a pure function: what was seen goes in, what is to be done comes out. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.expansion import expand
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.job import BestTrial, Job
from mitorch_service.models.run import EXIT_INFRASTRUCTURE, RunState
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import (
    MAX_LOST_ATTEMPTS,
    Attempt,
    Training,
    TrainingRow,
    run_name,
)


@dataclass(frozen=True)
class JobState:
    """An active job with what its trials look like now."""

    job: Job
    counts: Mapping[str, int]  # trials by status
    last_number: int | None  # the highest trial number created
    best: BestTrial | None
    open_trials: Sequence[TrainingRow] = ()  # looked up only where the job is to be canceled


@dataclass(frozen=True)
class Snapshot:
    """What a pass has seen. A cluster that did not answer is missing from `clusters` and `runs`."""

    queue: Sequence[TrainingRow] = ()  # the head of the queue, in order
    active: Sequence[TrainingRow] = ()
    runs: Mapping[str, RunStatus | None] = field(default_factory=dict)  # by run name
    clusters: Mapping[str, Capacity] = field(default_factory=dict)  # in order of preference
    configured: frozenset[str] = frozenset()  # names of all clusters, answering or not
    jobs: Sequence[JobState] = ()


@dataclass(frozen=True)
class AddTrials:
    """Create these trials of a job, those that exist excepted."""

    job_id: str
    trainings: tuple[Training, ...]


@dataclass(frozen=True)
class UpdateJob:
    """Show how far a job is."""

    job_id: str
    counts: Mapping[str, int]
    best: BestTrial | None


@dataclass(frozen=True)
class FinishJob:
    """End a job."""

    job_id: str
    status: JobStatus
    error: str | None
    counts: Mapping[str, int]
    best: BestTrial | None


@dataclass(frozen=True)
class Launch:
    """Claim a new training for a cluster and submit its run."""

    training_id: str
    attempt: Attempt


@dataclass(frozen=True)
class Submit:
    """Submit the run of a training that was claimed earlier but is unknown to its cluster."""

    training_id: str
    attempt: Attempt


@dataclass(frozen=True)
class CancelTraining:
    """Cancel a training of a job that is being canceled."""

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


Action = AddTrials | UpdateJob | FinishJob | Launch | Submit | CancelTraining | CancelRun | EndAttempt


def plan(now: datetime, snapshot: Snapshot) -> list[Action]:
    """The actions of one pass, in the order in which they are to be applied."""
    actions: list[Action] = []
    trials: list[Training] = []
    for state in snapshot.jobs:
        for planned in plan_job(now, state):
            actions.append(planned)
            trials += planned.trainings if isinstance(planned, AddTrials) else ()
    for training in snapshot.active:
        action = watch(training, snapshot)
        if action is not None:
            actions.append(action)
    actions += assign(now, snapshot, trials)
    return actions


def plan_job(now: datetime, state: JobState) -> list[Action]:
    """Creates the next trials of a job, ends it when all have ended, or winds it up when it is to be canceled."""
    job = state.job
    open_count = sum(state.counts.get(status, 0) for status in ("new", "queued", "running"))
    end = _early_end(state)
    if end is not None and open_count > 0:
        return [CancelTraining(trial.id) for trial in state.open_trials if trial.cancel_requested_at is None]
    if end is not None:
        return [_finish(state, *end)]
    try:
        trials = expand(job, state.last_number, open_count, to_utc_milliseconds(now))
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # its document was changed by hand
        return [_finish(state, JobStatus.FAILED, f"its search space cannot be used: {error}")]
    if trials:
        return [AddTrials(job.id, trials), *_progress(state)]
    if open_count == 0:
        if state.best is not None:
            return [_finish(state, JobStatus.COMPLETED)]
        return [_finish(state, JobStatus.FAILED, f"no trial gave a finite {job.search.objective}")]
    return _progress(state)


def watch(training: TrainingRow, snapshot: Snapshot) -> Action | None:
    """What to do about a queued or running training, given how its run looks from outside."""
    attempt = training.current_attempt()
    if attempt is None:
        return None
    if attempt.cluster not in snapshot.configured:
        reason = f"its cluster {attempt.cluster} is no longer in MITORCH_CLUSTERS"
        return _lost(training, attempt, reason)
    if attempt.run_name not in snapshot.runs:
        return None  # the cluster did not answer: next pass
    run = snapshot.runs[attempt.run_name]
    if run is None:
        if training.cancel_requested_at is not None:
            return EndAttempt(
                training.id,
                attempt,
                AttemptOutcome.CANCELED,
                TrainingStatus.CANCELED,
                "canceled before it started",
            )
        if attempt.submitted_at is None:
            return Submit(training.id, attempt)
        return _lost(training, attempt, "its cluster does not know the run any more")
    if run.state in (RunState.PENDING, RunState.RUNNING, RunState.UNKNOWN):
        return None if training.cancel_requested_at is None else CancelRun(training.id, attempt)
    return _verdict(training, attempt, run)


def assign(now: datetime, snapshot: Snapshot, trials: Sequence[Training]) -> list[Action]:
    """New trainings by priority, then age, to the clusters' free slots, the cluster with most free slots first."""
    free = free_slots(snapshot)
    waiting = {row.id: row for row in [*snapshot.queue, *trials]}
    actions: list[Action] = []
    for row in sorted(waiting.values(), key=lambda r: (r.priority, r.arrival, r.id)):
        cluster = max(free, key=lambda name: free[name], default=None)
        if cluster is None or free[cluster] <= 0:
            break
        free[cluster] -= 1
        number = row.attempt + 1
        name = run_name(row.id, number)
        at = to_utc_milliseconds(now)
        actions.append(Launch(row.id, Attempt(number=number, cluster=cluster, run_name=name, queued_at=at)))
    return actions


def free_slots(snapshot: Snapshot) -> dict[str, int]:
    """Slots that neither a run holds nor a training was claimed for that its cluster does not know yet. Never more than
    the cluster has beside all that was assigned to it: another pass may have launched since its capacity was asked."""
    free = {name: capacity.free for name, capacity in snapshot.clusters.items()}
    unassigned = {name: capacity.total for name, capacity in snapshot.clusters.items()}
    for training in snapshot.active:
        attempt = training.current_attempt()
        if attempt is None or attempt.cluster not in free:
            continue
        unassigned[attempt.cluster] -= 1
        if snapshot.runs.get(attempt.run_name) is None:
            free[attempt.cluster] -= 1
    return {name: min(slots, unassigned[name]) for name, slots in free.items()}


def _progress(state: JobState) -> list[Action]:
    changed = dict(state.counts) != state.job.counts or state.best != state.job.best
    return [UpdateJob(state.job.id, state.counts, state.best)] if changed else []


def _early_end(state: JobState) -> tuple[JobStatus, str | None] | None:
    """How a job ends that is to end before all its trials were made; None for one that goes on."""
    if state.job.cancel_requested_at is not None:
        return JobStatus.CANCELED, None
    failed = sum(state.counts.get(status, 0) for status in ("failed", "diverged"))
    limit = state.job.search.max_failed
    if limit is not None and failed > limit:
        return JobStatus.FAILED, f"{failed} trials failed, more than search.max_failed allows ({limit})"
    return None


def _finish(state: JobState, status: JobStatus, error: str | None = None) -> FinishJob:
    return FinishJob(state.job.id, status, error, state.counts, state.best)


def _verdict(training: TrainingRow, attempt: Attempt, run: RunStatus) -> Action:
    """The run is over and its training still active: the run could not write its own end."""
    reason = run.reason or "it ended without writing a result"
    if training.cancel_requested_at is not None:
        return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
    if run.state == RunState.KILLED or run.exit_code == EXIT_INFRASTRUCTURE:
        return _lost(training, attempt, reason)
    if run.state == RunState.SUCCEEDED:
        reason = "it ended with exit code 0, but without writing a result"
    retries = training.attempts_ended_as(AttemptOutcome.FAILED)
    status = TrainingStatus.NEW if retries < training.max_retries else TrainingStatus.FAILED
    return EndAttempt(training.id, attempt, AttemptOutcome.FAILED, status, reason)


def _lost(training: TrainingRow, attempt: Attempt, reason: str) -> EndAttempt:
    lost = training.attempts_ended_as(AttemptOutcome.LOST) + 1
    if training.cancel_requested_at is not None:
        return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
    if lost >= MAX_LOST_ATTEMPTS:
        reason = f"lost {lost} times, which is the limit; the last time: {reason}"
        return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.FAILED, reason)
    return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.NEW, reason)
