"""The end of an attempt whose node is taken away, written by the node: its cluster's words are no basis for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.runs.attempt_end import lost, within_budget
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd


def end_preempted_attempt(
    store: Store,
    training_id: str,
    attempt: int,
    worker: str | None,
    clock: Callable[[], datetime],
    reason: str,
    timed_out: bool = False,
) -> None:
    """Ends the attempt as lost by preemption, or as canceled if that was asked for. `worker`: the process that has, or
    had, the right to write; None if no training has started. `timed_out`: at its cluster's time limit. Raises
    StaleAttempt, StoreError, BrokenDocument."""
    training = store.runs.find_attempt(training_id, attempt)
    end = lost(TrainingErrorInfo(type="Preempted", message=reason), preempted=True, timed_out=timed_out)
    if training.cancel_requested_at is not None:
        end = RunEnd(AttemptOutcome.CANCELED, reason=reason)
    end, again = within_budget(training, end)
    current = training.current_attempt()
    at = clock() if current is None else current.not_before(clock())
    write = store.runs.retry_attempt if again else store.runs.finish_training
    write(training_id, attempt, worker, at, end)
