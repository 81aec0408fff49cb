"""Sends what waits in the outbox: each webhook by one pass at a time, in order, within a limit of time for all."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.controller.event_log import EventLog
from mitorch_service.models.notification import GIVE_UP_AFTER, LEASE, Event, Notification, WebhookState, to_milliseconds
from mitorch_service.stores.base import Store
from mitorch_service.webhook_settings.webhook import Webhook
from mitorch_service.webhooks.event_delivery import Answer, deliver
from mitorch_service.wording.counted import counted

PASS_SECONDS = 10.0  # for all webhooks together, at the same time
LATE_SECONDS = 3.0  # of a pass whose own time is over
REQUEST_SECONDS = 5.0
_PAGE = 100  # notifications of one webhook a pass
_MOST_REFUSED = 3  # in a row; then the others wait, too
_FIRST_BACKOFF, _LONGEST_BACKOFF = 30.0, 3600.0  # seconds

_TAKEN = Answer()

Deliver = Callable[[Webhook, Event, datetime, float], Answer]


@dataclass
class _Batch:
    """The notifications that this pass sends to one webhook, and what became of them."""

    webhook: Webhook
    state: WebhookState
    leased_until: datetime
    notifications: list[Notification]
    sent: int = 0
    last: Answer = _TAKEN  # the last one
    ended: bool = False  # False: no answer came before the time was over


@dataclass(frozen=True)
class _Answered:
    """An answer; without a notification the batch has come to its end."""

    batch: _Batch
    notification: Notification | None = None
    answer: Answer = _TAKEN
    error: Exception | None = None


class Sending:
    """The sending of one pass."""

    def __init__(
        self,
        store: Store,
        webhooks: Sequence[Webhook],
        events: EventLog,
        clock: Callable[[], datetime],
        deliver: Deliver = deliver,
        seconds: float = PASS_SECONDS,
    ) -> None:
        """`clock`: the time of this pass, as it goes on; `seconds`: for all that is sent."""
        self._store = store
        self._webhooks = webhooks
        self._events = events
        self._clock = clock
        self._deliver = deliver
        self._seconds = seconds

    def send(self) -> None:
        """Sends what is due. A receiver that fails is left alone for a while, and its notifications wait."""
        batches = list(filter(None, map(self._lease, self._webhooks)))
        if not batches:
            return
        end = time.monotonic() + self._seconds
        answers: queue.Queue[_Answered] = queue.Queue()
        for batch in batches:
            threading.Thread(target=self._send_all, args=(batch, end, answers), daemon=True).start()
        self._collect(answers, len(batches), end)
        for batch in batches:
            self._release(batch)
        if any(batch.sent for batch in batches) and all(len(batch.notifications) < _PAGE for batch in batches):
            self._store.notifications.forget_old(self._clock())

    def _lease(self, webhook: Webhook) -> _Batch | None:
        verbs, now = self._store.notifications, self._clock()
        state = verbs.webhook_states([webhook.name])[webhook.name]
        if state.free_at > to_milliseconds(now) or not verbs.waiting(webhook.name, now, 1):
            return None
        until = now + LEASE
        if not verbs.lease_webhook(state, until):
            return None
        # Read under the lease: what another pass has just sent is not among them.
        return _Batch(webhook, state, until, verbs.waiting(webhook.name, now, _PAGE))

    def _send_all(self, batch: _Batch, end: float, answers: queue.Queue[_Answered]) -> None:
        """Runs in a thread of its own, which calls no store."""
        refused = 0
        try:
            for notification in batch.notifications:
                seconds = min(REQUEST_SECONDS, end - time.monotonic())
                if seconds <= 0 or refused == _MOST_REFUSED:
                    break
                answer = self._deliver(batch.webhook, notification.event, self._clock(), seconds)
                answers.put(_Answered(batch, notification, answer))
                if answer.problem is not None and not answer.of_request:
                    break
                refused = refused + 1 if answer.problem is not None else 0
            answers.put(_Answered(batch))
        except Exception as error:  # noqa: BLE001 - recorded with its traceback
            answers.put(_Answered(batch, error=error))

    def _collect(self, answers: queue.Queue[_Answered], open_batches: int, end: float) -> None:
        """Records each answer as it comes, until all batches are through or the time is over."""
        while open_batches:
            try:
                one = answers.get(timeout=max(0.05, end + 0.5 - time.monotonic()))
            except queue.Empty:
                return  # threads that still wait, perhaps for the look-up of a name; it is sent again
            if one.error is not None:
                self._events.note_fault(f"webhook {one.batch.webhook.name}", one.error)
                one.batch.last = Answer(type(one.error).__name__)
            if one.notification is None:
                one.batch.ended = True
                open_batches -= 1
            else:
                self._record(one.batch, one.notification, one.answer)

    def _record(self, batch: _Batch, notification: Notification, answer: Answer) -> None:
        verbs, now = self._store.notifications, self._clock()
        batch.last = answer
        if answer.problem is None:
            batch.sent += 1
            verbs.mark_sent(notification, now)
        elif now - notification.created_at >= GIVE_UP_AFTER:
            self._give_up(batch, [notification], answer.problem)
        elif answer.of_request:
            verbs.put_off(notification, answer.problem, now + _backoff(notification.tries + 1))

    def _release(self, batch: _Batch) -> None:
        now, state = self._clock(), batch.state
        if batch.sent:
            state = state.model_copy(update={"failures": 0, "failing_since": None, "problem": None, "sent_at": now})
        problem = batch.last.problem if batch.ended else "no answer in time"
        if problem is None:
            state = state.model_copy(update={"free_at": to_milliseconds(now)})
        else:
            state = self._failing(batch, state, problem, batch.last.wait)
        if batch.sent:
            self._events.note(f"webhook {batch.webhook.name}: {counted(batch.sent, 'notification')} sent")
        self._store.notifications.release_webhook(state, batch.leased_until)

    def _failing(self, batch: _Batch, state: WebhookState, problem: str, wait: float | None) -> WebhookState:
        """The state of a webhook whose receiver did not take the last notification."""
        now, failures = self._clock(), state.failures + 1
        pause = _backoff(failures) if wait is None else timedelta(seconds=wait)
        self._events.note_failure(
            f"webhook {batch.webhook.name} ({batch.webhook.host}): {problem}; retrying at {now + pause:%H:%M:%S}"
        )
        old = [one for one in batch.notifications[1:] if now - one.created_at >= GIVE_UP_AFTER]
        self._give_up(batch, [] if batch.sent else old, problem)
        return state.model_copy(
            update={
                "failures": failures,
                "failing_since": state.failing_since or now,
                "problem": problem,
                "free_at": to_milliseconds(now + pause),
            }
        )

    def _give_up(self, batch: _Batch, notifications: Sequence[Notification], problem: str) -> None:
        given_up = sum(self._store.notifications.give_up(one, problem, self._clock()) for one in notifications)
        if given_up:
            days = GIVE_UP_AFTER.days
            text = f"webhook {batch.webhook.name}: {counted(given_up, 'notification')} given up after {days} days"
            self._events.note_failure(f"{text}: {problem}")


def _backoff(failures: int) -> timedelta:
    return timedelta(seconds=min(_FIRST_BACKOFF * 2 ** min(failures - 1, 20), _LONGEST_BACKOFF))
