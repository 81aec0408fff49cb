"""Decides about a training whose run a cluster has refused. Pure."""

from __future__ import annotations

from mitorch_service.controller.plan.actions import EndAttempt
from mitorch_service.errors import RunRefused
from mitorch_service.models.attempts.attempt_budgets import after_failure, after_refusal
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, TrainingRow


def refused(training: TrainingRow, attempt: Attempt, refusal: RunRefused, takes_others: bool) -> EndAttempt:
    """Returns the end of the attempt.

    A wrong request, on a cluster that accepted others at the same time (`takes_others`), is the training's own fault: a
    failure as any other. Every other refusal may be due to the cluster or the settings: the training goes back to the
    queue, up to MAX_REFUSED_ATTEMPTS times.
    """
    reason = str(refusal).removesuffix(".")
    if training.cancel_requested_at is not None:
        return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
    if refusal.of_request and takes_others:
        return EndAttempt(training.id, attempt, AttemptOutcome.FAILED, after_failure(training), reason)
    status, reason = after_refusal(training, reason)
    return EndAttempt(training.id, attempt, AttemptOutcome.REFUSED, status, reason)
