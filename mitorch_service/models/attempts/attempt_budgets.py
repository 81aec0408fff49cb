"""The budgets of a training's attempts: its own errors, losses, preemptions, refusals, machines that cannot be written.
Each counts from the last retry that a person ordered.

A preemption (a node that is taken away, a time limit of the cluster) is nobody's fault, and on low-priority nodes they
never end: their budget is full again as soon as an attempt has gained an epoch. Time limits have a smaller one of their
own, as submitit's have: an epoch that is longer than the limit would never end.
"""

from __future__ import annotations

from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import MAX_ATTEMPTS, Attempt, TrainingRow

MAX_LOST_ATTEMPTS = 3  # attempts lost to the infrastructure before a training is failed
MAX_PREEMPTED_ATTEMPTS = 5  # attempts lost to preemption in a row, none of which gained an epoch
MAX_TIMED_OUT_ATTEMPTS = 3  # the same, of those that reached the time limit of their cluster
MAX_REFUSED_ATTEMPTS = 5  # attempts that clusters refused to start
MAX_BLOCKED_ATTEMPTS = 100  # in a row: about four days of a storage that cannot be written


def after_failure(training: TrainingRow) -> TrainingStatus:
    """Returns the status of a training whose current attempt failed by an error of its own."""
    return _again(training.attempts_ended_as(AttemptOutcome.FAILED) < training.max_retries)


def after_loss(
    training: TrainingRow, reason: str, preempted: bool = False, timed_out: bool = False
) -> tuple[TrainingStatus, str]:
    """Returns the status of a training whose current attempt was lost, and the reason, with a spent budget."""
    times, limit, what = _lost_times(training) + 1, MAX_LOST_ATTEMPTS, "lost"
    if timed_out:
        times, limit = _preempted_in_vain(training, timed_out), MAX_TIMED_OUT_ATTEMPTS
        what = "ended at its cluster's time limit without a finished epoch"
    elif preempted:
        times, limit = _preempted_in_vain(training, timed_out), MAX_PREEMPTED_ATTEMPTS
        what = "preempted without a finished epoch"
    if times >= limit:
        return TrainingStatus.FAILED, f"{what} {times} times, which is the limit; the last time: {reason}"
    if training.attempt >= MAX_ATTEMPTS:
        return TrainingStatus.FAILED, f"its {training.attempt}th attempt was its last, which is the limit: {reason}"
    return TrainingStatus.NEW, reason


def after_refusal(training: TrainingRow, reason: str) -> tuple[TrainingStatus, str]:
    """Returns the status of a training whose current attempt was refused, and the reason."""
    times = training.attempts_ended_as(AttemptOutcome.REFUSED) + 1
    if times < MAX_REFUSED_ATTEMPTS:
        return TrainingStatus.NEW, reason
    return TrainingStatus.FAILED, f"refused {times} times, which is the limit; the last time: {reason}"


def after_block(training: TrainingRow) -> TrainingStatus:
    """Returns the status of a training whose current attempt was blocked."""
    return _again(training.last_in_a_row(AttemptOutcome.BLOCKED) < MAX_BLOCKED_ATTEMPTS)


def _again(allowed: bool) -> TrainingStatus:
    return TrainingStatus.NEW if allowed else TrainingStatus.FAILED


def _lost_times(training: TrainingRow) -> int:
    """Counts the attempts before the current one that the infrastructure ended otherwise than by preemption."""
    counted = (one for one in training.attempts if training.budget_from < one.number < training.attempt)
    return sum(one.outcome == AttemptOutcome.LOST and not one.preempted for one in counted)


def _preempted_in_vain(training: TrainingRow, timed_out: bool) -> int:
    """Counts the preempted attempts, those at a time limit or the others, the current one included, behind the last one
    that gained an epoch."""
    most, times = -1, 0
    for attempt in training.attempts:
        is_current = attempt.number == training.attempt
        epoch = training.epochs_seen() if is_current else attempt.epoch
        if epoch is not None and epoch > most:
            most, times = epoch, 0
        elif is_current or _is_preempted(attempt, timed_out):
            times += attempt.number > training.budget_from
    return times


def _is_preempted(attempt: Attempt, timed_out: bool) -> bool:
    return attempt.outcome == AttemptOutcome.LOST and attempt.preempted and attempt.timed_out == timed_out
