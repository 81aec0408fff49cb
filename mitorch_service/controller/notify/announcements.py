"""Records events in the outbox: of marked trainings and jobs that have ended, and of conditions that began.

Whoever ends a training (its run, a pass, a command) knows nothing of webhooks: a pass marks it while it is active, and
finds it by its mark once it has ended. Its cost follows what is active and what has ended since, whatever the history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.conditions import Observed, advanced, condition_id, observed_conditions
from mitorch_service.controller.notify.event_building import cluster_event, job_event, limit_event, training_event
from mitorch_service.controller.notify.wanted import Wanted
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.notification import GIVE_UP_AFTER, Condition, Event
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.webhook_settings.webhook import EventKind, Webhook

_PAGE = 200
_PAGES_A_PASS = 20

Ended = tuple[
    Literal["trainings", "jobs"], Callable[[int], list[StoredDocument]], Callable[[StoredDocument], Event | None]
]


class Announcements:
    """Marks, finds and records what the webhooks want to be told."""

    def __init__(self, store: Store, webhooks: Sequence[Webhook], events: EventLog) -> None:
        self._store = store
        self._webhooks = webhooks
        self._events = events
        self._wanted = Wanted.by(webhooks)

    def mark(self, snapshot: Snapshot) -> None:
        """Marks what is active and not marked yet: started before there were webhooks, or by a pass without them."""
        rows = [row for row in snapshot.active if row.announce_end is None]
        rows = [row for row in rows if self._wanted.training(row.belongs_to is not None)]
        jobs = [state.job for state in snapshot.jobs if state.job.announce_end is None and self._wanted.jobs]
        if rows:
            self._store.notifications.mark_trainings(rows)
        if jobs:
            self._store.notifications.mark_jobs(jobs)

    def record(self, snapshot: Snapshot, now: datetime, in_time: Callable[[], bool]) -> None:
        """Records the events since the last pass. What there is no time for, the next pass records."""
        verbs = self._store.notifications
        if self._wanted.trainings or self._wanted.trials:
            self._record_ended(("trainings", verbs.ended_trainings, training_event), now, in_time)
        if self._wanted.jobs:
            self._record_ended(("jobs", verbs.ended_jobs, job_event), now, in_time)
        with self._events.collect_errors("the conditions to be announced"):
            self._record_conditions(snapshot, now)

    def _record_ended(self, ended: Ended, now: datetime, in_time: Callable[[], bool]) -> None:
        collection, read, event_of = ended
        for _ in range(_PAGES_A_PASS):
            documents = read(_PAGE)
            if documents:
                self._record_events([self._event(event_of, document, now) for document in documents], now)
                self._store.notifications.unmark(collection, documents)
            if collection == "jobs":
                self._store.notifications.forget_conditions(
                    [condition_id(EventKind.JOB_LIMIT, str(document["_id"])) for document in documents]
                )
            if len(documents) < _PAGE or not in_time():
                return

    def _event(
        self, event_of: Callable[[StoredDocument], Event | None], document: StoredDocument, now: datetime
    ) -> Event | None:
        """The event, unless it is too old: marked by a pass, and found once there were webhooks again."""
        event: Event | None = None
        with self._events.collect_errors(f"the event of {document['_id']}"):
            event = event_of(document)
        return event if event is not None and now - event.at < GIVE_UP_AFTER else None

    def _record_events(self, events: Sequence[Event | None], now: datetime) -> None:
        addressed = [
            (event, [hook.name for hook in self._webhooks if hook.wants(event.kind, event.of_search)])
            for event in events
            if event is not None
        ]
        if any(names for _, names in addressed):
            self._store.notifications.record_events(addressed, now)

    def _record_conditions(self, snapshot: Snapshot, now: datetime) -> None:
        seen = [
            one for one in observed_conditions(now, snapshot) if any(hook.wants(one.kind) for hook in self._webhooks)
        ]
        known = self._store.notifications.conditions([one.id for one in seen])
        for one in seen:
            with self._events.collect_errors(f"the condition {one.id}"):
                self._record_condition(known.get(one.id, Condition(id=one.id)), one, now)

    def _record_condition(self, before: Condition, observed: Observed, now: datetime) -> None:
        """Stores the episode, then its event, then that it is announced: a pass that dies in between is continued."""
        condition = before
        if before.announced == before.episode:
            condition = advanced(before, observed, now)
            if condition == before or not self._store.notifications.change_condition(before, condition):
                return
        if condition.announced < condition.episode:
            self._record_events([_condition_event(observed, condition)], now)
            announced = condition.model_copy(update={"announced": condition.episode})
            self._store.notifications.change_condition(condition, announced)


def _condition_event(observed: Observed, condition: Condition) -> Event:
    text = observed.text or "began, and is over"
    if observed.state is not None:
        job, cost = observed.state.job, observed.state.cost
        return limit_event(job, condition, text, None if job.search.max_cost is None else cost)
    return cluster_event(observed.kind, observed.about, condition, text)
