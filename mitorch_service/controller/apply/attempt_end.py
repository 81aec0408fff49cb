"""The verdict on an attempt whose run cannot tell its own end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from mitorch_service.backends.base import Backend
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.pass_report import Counted
from mitorch_service.controller.plan.actions import (
    EndAttempt,
)
from mitorch_service.errors import (
    BackendError,
)
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import ACTIVE, AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, TrainingErrorInfo
from mitorch_service.stores.base import Store

_LOG_TAIL_LINES = 20
_OUTCOMES = {
    AttemptOutcome.LOST: Counted.LOST,
    AttemptOutcome.REFUSED: Counted.REFUSED,
    AttemptOutcome.FAILED: Counted.FAILED,
    AttemptOutcome.CANCELED: Counted.CANCELED,
}


class AttemptEnds:
    """Ends attempts."""

    def __init__(self, store: Store, backends: Mapping[str, Backend], events: EventLog) -> None:
        self._store, self._backends, self._events = store, backends, events

    def end(self, action: EndAttempt, now: datetime, began: bool = True) -> None:
        """`began`: whether there may have been a run, with a log. Where there is not, one that reports its start after
        all is left alone."""
        attempt = action.attempt
        tail, before = (self._log_tail(attempt), ACTIVE) if began else ([], (TrainingStatus.QUEUED,))
        reason = mask_secrets(action.reason)
        error = TrainingErrorInfo(type=action.outcome.value.capitalize(), message=reason, log_tail=tail)
        verdict = (now, action.outcome, action.status, error, before)
        if self._store.queue.end_attempt(action.training_id, attempt.number, *verdict):
            then = "will be tried again" if action.status == "new" else f"is {action.status}"
            short = action.training_id[:8]
            text = f"training {short}: attempt {attempt.number} {action.outcome}: {action.reason}; it {then}"
            how = _OUTCOMES.get(action.outcome)
            self._events.note(text, Counted.ENDED, *([] if how is None else [how]))

    def _log_tail(self, attempt: Attempt) -> list[str]:
        try:
            log = self._backends[attempt.cluster].logs(attempt.run_name)
        except (BackendError, KeyError):  # the verdict does not wait for the log of a cluster that is gone
            return []
        return [mask_secrets(line) for line in log.splitlines()[-_LOG_TAIL_LINES:]]
