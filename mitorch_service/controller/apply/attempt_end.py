"""Ends an attempt whose run cannot report its own end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from mitorch_service.backends.base import Backend
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.pass_report import PassCount
from mitorch_service.controller.plan.actions import EndAttempt
from mitorch_service.errors import BackendError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import ACTIVE, AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, TrainingErrorInfo
from mitorch_service.stores.base import Store

_LOG_TAIL_LINES = 20
_LOG_SECONDS = 15.0
_COUNTERS = {
    AttemptOutcome.LOST: PassCount.LOST,
    AttemptOutcome.REFUSED: PassCount.REFUSED,
    AttemptOutcome.FAILED: PassCount.FAILED,
    AttemptOutcome.CANCELED: PassCount.CANCELED,
}


class AttemptEnds:
    """Ends attempts, with the tail of their run's log."""

    def __init__(self, store: Store, backends: Mapping[str, Backend], events: EventLog) -> None:
        self._store = store
        self._backends = backends
        self._events = events

    def end(self, action: EndAttempt, now: datetime) -> None:
        """Ends the attempt of a run that is over, lost or canceled."""
        self._end(action, now, self._log_tail(action.attempt), ACTIVE)

    def end_refused(self, action: EndAttempt, now: datetime) -> None:
        """Ends an attempt without a run, and so without a log; but not one that has reported its start after all."""
        self._end(action, now, [], (TrainingStatus.QUEUED,))

    def _end(
        self, action: EndAttempt, now: datetime, log_tail: list[str], expected: tuple[TrainingStatus, ...]
    ) -> None:
        message = mask_secrets(action.reason)
        error = TrainingErrorInfo(type=action.outcome.value.capitalize(), message=message, log_tail=log_tail)
        ended = self._store.queue.end_attempt(
            action.training_id,
            action.attempt.number,
            now,
            action.outcome,
            action.status,
            error,
            expected,
            preempted=action.preempted,
            timed_out=action.timed_out,
        )
        if ended:
            self._note(action)

    def _note(self, action: EndAttempt) -> None:
        then = "will be tried again" if action.status == TrainingStatus.NEW else f"is {action.status}"
        end = f"attempt {action.attempt.number} {action.outcome}: {action.reason}"
        counter = _COUNTERS.get(action.outcome)
        counters = (PassCount.ENDED,) if counter is None else (PassCount.ENDED, counter)
        self._events.note(f"training {action.training_id[:8]}: {end}; it {then}", *counters)

    def _log_tail(self, attempt: Attempt) -> list[str]:
        """The attempt ends without the log of a cluster that is down, gone or out of order."""
        backend = self._backends.get(attempt.cluster)
        if backend is None:
            return []
        calls = {attempt.cluster: lambda: self._read_log(backend, attempt)}
        log = self._events.call_clusters(calls, _LOG_SECONDS).get(attempt.cluster, "")
        return [mask_secrets(line) for line in log.splitlines()[-_LOG_TAIL_LINES:]]

    def _read_log(self, backend: Backend, attempt: Attempt) -> str:
        try:
            return backend.logs(attempt.run_name)
        except BackendError:
            return ""
        except Exception as error:  # noqa: BLE001 - recorded with its traceback
            self._events.note_fault(f"the log of {attempt.run_name}", error)
            return ""
