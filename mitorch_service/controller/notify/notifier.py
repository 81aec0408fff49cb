"""The notifications of a pass: marked before it acts, recorded and sent after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.announcements import Announcements
from mitorch_service.controller.notify.sending import LATE_SECONDS, PASS_SECONDS, Deliver, Sending
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import MiTorchError
from mitorch_service.stores.base import Store
from mitorch_service.webhook_settings.webhook import Webhook
from mitorch_service.webhooks.event_delivery import deliver


class Notifier:
    """Does nothing, and asks the database nothing, without webhooks."""

    def __init__(self, store: Store, webhooks: Sequence[Webhook], events: EventLog, deliver: Deliver = deliver) -> None:
        self._store = store
        self._webhooks = webhooks
        self._events = events
        self._deliver = deliver
        self._announcements = Announcements(store, webhooks, events)

    def mark(self, snapshot: Snapshot) -> None:
        """Marks what is to be announced when it ends. Before the pass acts: it may end some of it."""
        if self._webhooks:
            with self._kept_apart("marking what is to be announced"):
                self._announcements.mark(snapshot)

    def notify(self, snapshot: Snapshot, clock: Callable[[], datetime], in_time: Callable[[], bool]) -> None:
        """Records events and sends notifications; a few of each if the time of the pass is over, so that passes without
        time to spare tell what happens, too. `clock`: the time of the pass, as it goes on."""
        if not self._webhooks:
            return
        with self._kept_apart("recording notifications"):
            self._announcements.record(snapshot, clock(), in_time)
        seconds = PASS_SECONDS if in_time() else LATE_SECONDS
        with self._kept_apart("sending notifications"):
            Sending(self._store, self._webhooks, self._events, clock, self._deliver, seconds).send()

    @contextmanager
    def _kept_apart(self, step: str) -> Iterator[None]:
        """The pass is done, whatever happens to its notifications: the next one continues with them."""
        try:
            yield
        except MiTorchError as error:
            self._events.note_failure(f"{step}: {error}")
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the pass
            self._events.note_fault(step, error)
