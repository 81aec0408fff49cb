"""The states of a training, an attempt and a job, and the changes that are allowed between them."""

from __future__ import annotations

from enum import StrEnum


class TrainingStatus(StrEnum):
    """Where a training is in its life."""

    NEW = "new"  # accepted, waiting for a cluster (again, after a lost attempt)
    QUEUED = "queued"  # a run was asked for on a cluster
    RUNNING = "running"  # its process has started and reported
    COMPLETED = "completed"  # all epochs done, evaluated, weights stored
    FAILED = "failed"  # ended by an error: see `error`
    CANCELED = "canceled"  # a person, or SIGTERM while its machine goes on, stopped it
    PRUNED = "pruned"  # its search stopped it early, or paused it
    DIVERGED = "diverged"  # a loss was not finite


ACTIVE = (TrainingStatus.QUEUED, TrainingStatus.RUNNING)
ENDED = (
    TrainingStatus.COMPLETED,
    TrainingStatus.FAILED,
    TrainingStatus.CANCELED,
    TrainingStatus.PRUNED,
    TrainingStatus.DIVERGED,
)

# `new` -> `running` is a run that was declared lost wrongly and is taken back; `pruned` -> `new` a trial that its
# search had only paused and takes on, or a retry.
TRANSITIONS: dict[TrainingStatus, frozenset[TrainingStatus]] = {
    TrainingStatus.NEW: frozenset(
        {TrainingStatus.QUEUED, TrainingStatus.RUNNING, TrainingStatus.CANCELED, TrainingStatus.FAILED}
    ),
    TrainingStatus.QUEUED: frozenset({TrainingStatus.NEW, TrainingStatus.RUNNING, *ENDED}),
    TrainingStatus.RUNNING: frozenset({TrainingStatus.NEW, *ENDED}),
    TrainingStatus.COMPLETED: frozenset(),
    TrainingStatus.FAILED: frozenset({TrainingStatus.NEW}),
    TrainingStatus.CANCELED: frozenset({TrainingStatus.NEW}),
    TrainingStatus.PRUNED: frozenset({TrainingStatus.NEW}),
    TrainingStatus.DIVERGED: frozenset({TrainingStatus.NEW}),
}


def statuses_before(status: TrainingStatus) -> tuple[TrainingStatus, ...]:
    """Every status from which `status` may be reached: the guard of a change to it."""
    return tuple(before for before, after in TRANSITIONS.items() if status in after)


class AttemptOutcome(StrEnum):
    """How one attempt of a training ended."""

    COMPLETED = "completed"
    FAILED = "failed"  # the user's code, config or data
    CANCELED = "canceled"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    LOST = "lost"  # the infrastructure: killed, vanished, preempted, never started
    REFUSED = "refused"  # its cluster would not start it


class JobStatus(StrEnum):
    """Where a job (a search) is in its life."""

    NEW = "new"  # accepted, no trial created yet
    RUNNING = "running"  # trials are being created or run
    COMPLETED = "completed"  # every trial has ended and there is a best one
    FAILED = "failed"  # too many trials failed, or none gave a result
    CANCELED = "canceled"  # a person stopped it


ACTIVE_JOBS = (JobStatus.NEW, JobStatus.RUNNING)
