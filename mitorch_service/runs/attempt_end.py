"""The ends of an attempt, one function each, and their recording.

A superseded attempt has no end: the store raises StaleAttempt, and the run writes nothing more.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from mitorch_service.backends.node import ProcessFailure
from mitorch_service.errors import (
    DATABASE_TROUBLE,
    ArtifactError,
    BrokenDocument,
    MachineTrouble,
    MiTorchError,
    ProcessLost,
    StaleAttempt,
    StoreError,
)
from mitorch_service.models.attempts.attempt_budgets import after_block, after_failure, after_loss
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.runs.bounded_log import last_lines
from mitorch_service.runs.context import END_PATIENCE, START_PATIENCE, AttemptContext
from mitorch_service.runs.delivery import keep_end
from mitorch_service.runs.resume import delete_checkpoints
from mitorch_service.runs.search.search_decision import SearchDecision
from mitorch_service.runs.search.trial_values import with_trial_values
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently, stubbornly
from mitorch_service.stores.verbs.runs import RunEnd

_NOTHING: Mapping[str, str] = {}
_LOG_TAIL_LINES = 20
_LONGEST_MESSAGE = 10_000  # characters; the whole one is in the log

log = logging.getLogger("mitorch")


def finished(training: Training, evaluation: Mapping[str, float] | None, artifacts: Mapping[str, str]) -> RunEnd:
    """The end of a training that did all its epochs; a trial gets its values. Its checkpoints are deleted."""
    return with_trial_values(training, RunEnd(AttemptOutcome.COMPLETED, evaluation, artifacts=artifacts))


def ended_by_search(
    decision: SearchDecision, evaluation: Mapping[str, float] | None, artifacts: Mapping[str, str]
) -> RunEnd:
    """The end of a trial that its search paused (checkpoints are kept) or stopped early (they are deleted)."""
    return RunEnd(decision.outcome, evaluation, artifacts=artifacts, reason=decision.reason)


def canceled(artifacts: Mapping[str, str] = _NOTHING) -> RunEnd:
    """The end of a training that a person canceled, or SIGTERM. Its checkpoints are kept for a retry."""
    return RunEnd(AttemptOutcome.CANCELED, artifacts=artifacts, reason="stopped on request")


def diverged(error: TrainingErrorInfo) -> RunEnd:
    """The end of a training with a loss that was not finite. It is not retried."""
    return RunEnd(AttemptOutcome.DIVERGED, error=error, reason=error.message)


def lost(
    error: TrainingErrorInfo,
    artifacts: Mapping[str, str] = _NOTHING,
    preempted: bool = False,
    timed_out: bool = False,
) -> RunEnd:
    """The end of an attempt whose machine, storage or other process failed, or whose node is taken away (`preempted`),
    by a time limit (`timed_out`).
    It is repeated without using up a retry, within a budget of its own (`models/attempts/attempt_budgets.py`)."""
    return RunEnd(
        AttemptOutcome.LOST,
        error=error,
        artifacts=artifacts,
        reason=error.message,
        preempted=preempted,
        timed_out=timed_out,
    )


def process_lost(error: ProcessLost, failure: ProcessFailure | None) -> RunEnd:
    """The end of an attempt one of whose processes has ended: by an error of the training (`failure`), or lost."""
    lost_process = logged_error(error)
    if failure is None or not failure.of_training:
        return lost(lost_process)
    log.error("%s", failure.reason)
    return failed(TrainingErrorInfo(type="ProcessFailed", message=failure.reason))


def blocked(trouble: MachineTrouble) -> RunEnd:
    """The end of an attempt whose machine or storage could not be written, or whose data set could not be read for no
    fault of its own. It is repeated and uses up no budget."""
    error = logged_error(trouble)
    return RunEnd(AttemptOutcome.BLOCKED, error=error, reason=error.message, kept=trouble.kept, of_data=trouble.of_data)


def block_attempt(store: Store, training_id: str, attempt: int, at: datetime, trouble: MachineTrouble) -> int:
    """Ends an attempt whose training was not started, because its machine or storage cannot be written, or its data set
    is refused; returns the exit code. Raises nothing: an end that cannot be recorded is the controller's to find."""
    error = logged_error(trouble)
    try:
        training = persistently(lambda: store.runs.find_attempt(training_id, attempt), START_PATIENCE)
        status = after_block(training)
        outcome = AttemptOutcome.BLOCKED if status == TrainingStatus.NEW else AttemptOutcome.FAILED
        if training.cancel_requested_at is not None:
            outcome, status = AttemptOutcome.CANCELED, TrainingStatus.CANCELED
        queued = (TrainingStatus.QUEUED,)
        end = partial(
            store.queue.end_attempt, training_id, attempt, at, outcome, status, error, queued, trouble.of_data
        )
        persistently(end, START_PATIENCE)
    except (StoreError, StaleAttempt, BrokenDocument) as failure:
        log.error("%s", failure)
    return EXIT_INFRASTRUCTURE


def failed(error: TrainingErrorInfo, artifacts: Mapping[str, str] = _NOTHING) -> RunEnd:
    """The end of an attempt by an error of the user's code, config or data. It is retried up to `max_retries` times."""
    return RunEnd(AttemptOutcome.FAILED, error=error, artifacts=artifacts, reason=error.message)


def logged_error(error: BaseException) -> TrainingErrorInfo:
    """Logs an error that ended the training, and returns its type and message for the training's `error`."""
    message = _bounded(mask_secrets(str(error) or type(error).__name__))
    log.error("%s: %s", type(error).__name__, message)
    # Our own errors are complete; for any other one, where it arose matters.
    if not isinstance(error, MiTorchError):
        log.error("%s", mask_secrets("".join(traceback.format_exception(error)).rstrip()))
    return TrainingErrorInfo(type=type(error).__name__, message=message)


def _bounded(message: str) -> str:
    """The message with its middle left out if it is so long that a database might refuse the end for it."""
    left_out = len(message) - _LONGEST_MESSAGE
    half = _LONGEST_MESSAGE // 2
    return message if left_out <= 0 else f"{message[:half]} … ({left_out} characters) … {message[-half:]}"


def record_end(context: AttemptContext, end: RunEnd) -> int:
    """Uploads the log, writes the end into the training, then deletes checkpoints from which nothing will resume.
    Returns the exit code. Raises StaleAttempt, StoreError."""
    end = _with_log(context, end)
    _write_end(context, end)
    if end.outcome in (AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED):
        delete_checkpoints(context.artifacts, context.training.id)
    return _exit_code(end.outcome)


def _with_log(context: AttemptContext, end: RunEnd) -> RunEnd:
    """Uploads the log, and copies its last lines into the error, if there is one."""
    artifacts = dict(end.artifacts)
    try:
        artifacts["log"] = context.put_attempt_file("log.txt", context.log_file)
    except ArtifactError as error:
        log.error("%s", error)  # the training's own end matters more than its log
    if end.error is None:
        return replace(end, artifacts=artifacts)
    lines = last_lines(context.log_file, _LOG_TAIL_LINES)
    return replace(end, artifacts=artifacts, error=end.error.model_copy(update={"log_tail": lines}))


def _write_end(context: AttemptContext, end: RunEnd) -> None:
    """Ends the training for good, or puts it back to `new` where its budget allows another attempt."""
    training, worker, clock = context.training, context.worker, context.clock
    end, retried = within_budget(training, end)
    current = training.current_attempt()
    write = context.store.runs.retry_attempt if retried else context.store.runs.finish_training
    at = clock() if current is None else current.not_before(clock())

    def record() -> None:
        try:
            write(training.id, training.attempt, worker, at, end)
        except DATABASE_TROUBLE:
            keep_end(context, end)
            raise

    stubbornly(record, END_PATIENCE)
    log.info("attempt %d ended: %s%s", training.attempt, end.outcome, "; it will be tried again" if retried else "")


def within_budget(training: Training, end: RunEnd) -> tuple[RunEnd, bool]:
    """Returns the end as it is written, and whether the training goes back to `new` for another attempt."""
    if end.outcome == AttemptOutcome.LOST:
        status, reason = after_loss(training, end.reason or "", end.preempted, end.timed_out)
        error = None if end.error is None else end.error.model_copy(update={"message": reason})
        return replace(end, reason=reason, error=error), status == TrainingStatus.NEW
    if end.outcome == AttemptOutcome.BLOCKED:
        again = after_block(training) == TrainingStatus.NEW
        return (end if again else replace(end, outcome=AttemptOutcome.FAILED)), again
    return end, end.outcome == AttemptOutcome.FAILED and after_failure(training) == TrainingStatus.NEW


def _exit_code(outcome: AttemptOutcome) -> int:
    if outcome in (AttemptOutcome.LOST, AttemptOutcome.BLOCKED):
        return EXIT_INFRASTRUCTURE
    return 1 if outcome in (AttemptOutcome.FAILED, AttemptOutcome.DIVERGED) else 0
