"""The states of a training, an attempt and a job, and the transitions that are allowed between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TrainingStatus(StrEnum):
    """The status of a training."""

    NEW = "new"  # accepted, waiting for a cluster (again, after a lost attempt or a pause)
    QUEUED = "queued"  # a run was requested from a cluster
    RUNNING = "running"  # its process has started and reported
    COMPLETED = "completed"  # all epochs done, evaluated, weights stored
    FAILED = "failed"  # ended by an error: see `error`
    CANCELED = "canceled"  # a person, or SIGTERM while its machine goes on, stopped it
    PRUNED = "pruned"  # its search stopped it early, for good
    PAUSED = "paused"  # its search may resume it from its checkpoint
    DIVERGED = "diverged"  # a loss was not finite


OPEN = (TrainingStatus.NEW, TrainingStatus.QUEUED, TrainingStatus.RUNNING)  # not ended
ACTIVE = (TrainingStatus.QUEUED, TrainingStatus.RUNNING)  # with an attempt on a cluster
# No attempt is under way, and none begins by itself. A paused trial is among them: it holds no cluster, and once its
# job has ended it stays as it is, to be retried, deleted or removed by retention.
ENDED = (
    TrainingStatus.COMPLETED,
    TrainingStatus.FAILED,
    TrainingStatus.CANCELED,
    TrainingStatus.PRUNED,
    TrainingStatus.PAUSED,
    TrainingStatus.DIVERGED,
)
ENDED_BADLY = (TrainingStatus.FAILED, TrainingStatus.DIVERGED)
STOPPED_BY_SEARCH = (TrainingStatus.PRUNED, TrainingStatus.PAUSED)
RETRYABLE = tuple(status for status in ENDED if status != TrainingStatus.COMPLETED)

_NEXT = frozenset({TrainingStatus.NEW})
TRANSITIONS: Mapping[TrainingStatus, frozenset[TrainingStatus]] = {
    # A run that was wrongly declared lost is still at work: it may report itself running, or its end.
    TrainingStatus.NEW: frozenset({TrainingStatus.QUEUED, TrainingStatus.RUNNING, *ENDED}),
    TrainingStatus.QUEUED: frozenset({TrainingStatus.NEW, TrainingStatus.RUNNING, *ENDED}),
    TrainingStatus.RUNNING: frozenset({TrainingStatus.NEW, TrainingStatus.RUNNING, *ENDED}),  # each epoch says so again
    TrainingStatus.COMPLETED: frozenset(),
    TrainingStatus.FAILED: _NEXT,  # a retry
    TrainingStatus.CANCELED: _NEXT,  # a retry
    TrainingStatus.PRUNED: _NEXT,  # a retry
    TrainingStatus.PAUSED: _NEXT,  # its search resumes it, or a retry
    TrainingStatus.DIVERGED: _NEXT,  # a retry
}

# A trial that an Optuna script runs is stored as canceled until the script ends it (see stores/search/studies.py).
SCRIPT_TRIAL_TRANSITIONS: Mapping[TrainingStatus, frozenset[TrainingStatus]] = {
    TrainingStatus.CANCELED: frozenset({TrainingStatus.COMPLETED, TrainingStatus.PRUNED, TrainingStatus.FAILED}),
}


class AttemptOutcome(StrEnum):
    """How one attempt of a training ended."""

    COMPLETED = "completed"
    FAILED = "failed"  # the user's code, config or data
    CANCELED = "canceled"
    PRUNED = "pruned"  # its search stopped the training early, for good
    PAUSED = "paused"  # its search may resume the training in another attempt
    DIVERGED = "diverged"
    LOST = "lost"  # the infrastructure: killed, vanished, preempted
    REFUSED = "refused"  # its cluster would not start it
    BLOCKED = "blocked"  # its process never began, its machine or storage cannot be written, its data was refused: free


class JobStatus(StrEnum):
    """The status of a job (a search)."""

    NEW = "new"  # accepted, no trial created yet
    RUNNING = "running"  # trials are being created or run
    COMPLETED = "completed"  # every trial has ended and there is a best one
    FAILED = "failed"  # too many trials failed, or none gave a result
    CANCELED = "canceled"  # a person stopped it


ACTIVE_JOBS = (JobStatus.NEW, JobStatus.RUNNING)
ENDED_JOBS = tuple(status for status in JobStatus if status not in ACTIVE_JOBS)

JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.NEW: frozenset({JobStatus.RUNNING, *ENDED_JOBS}),
    JobStatus.RUNNING: frozenset({JobStatus.RUNNING, *ENDED_JOBS}),  # each pass says so again
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
}
