"""Verbs of notifications: which ends are to be announced, the outbox, and what passes know of the webhooks.

An event is in the outbox before the mark of what it is about is taken away, and its id is the same for whoever records
it: a pass that dies in between, or overlaps another, records it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.base import Document
from mitorch_service.models.notification import (
    LEASE,
    Condition,
    Event,
    Notification,
    WebhookState,
    notification_id,
    oldest_id,
    to_milliseconds,
    webhook_state_id,
)
from mitorch_service.models.schema_versions import is_known
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE, ACTIVE_JOBS, ENDED, ENDED_JOBS
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Collection, Guarded, Query, StoredDocument
from mitorch_service.stores.transitions import stored_statuses

MARK = "announce_end"  # of a training or job whose end is to be announced
Model = TypeVar("Model", bound=Document)


class NotificationVerbs(Verbs):
    """Marks what is to be announced, and keeps the outbox with one notification for each event and webhook."""

    def mark_trainings(self, rows: Sequence[TrainingRow]) -> None:
        """Marks active trainings, so that their end is announced, whoever writes it."""
        expect = {"status": ACTIVE, MARK: (None,)}
        self._database.change_all([Guarded("trainings", row.id, expect, {MARK: True}) for row in rows])

    def mark_jobs(self, jobs: Sequence[Job]) -> None:
        """Marks active jobs, so that their end is announced."""
        expect = {"status": ACTIVE_JOBS, MARK: (None,)}
        self._database.change_all([Guarded("jobs", job.id, expect, {MARK: True}) for job in jobs])

    def ended_trainings(self, limit: int) -> list[StoredDocument]:
        """Returns marked trainings that have ended, as they are stored, without their configs; in no order."""
        return list(self._ended("trainings", stored_statuses(ENDED), limit))

    def ended_jobs(self, limit: int) -> list[StoredDocument]:
        """Returns marked jobs that have ended, as they are stored; in no order."""
        return list(self._ended("jobs", tuple(status.value for status in ENDED_JOBS), limit))

    def unmark(self, collection: Collection, ended: Iterable[StoredDocument]) -> None:
        """Takes the marks away; something that was retried since it was read keeps its own."""
        self._database.change_all(
            [
                Guarded(
                    collection, one["_id"], {name: (one.get(name),) for name in ("status", "attempt")}, {MARK: None}
                )
                for one in ended
            ]
        )

    def record_events(self, events: Sequence[tuple[Event, Sequence[str]]], now: datetime) -> int:
        """Adds each event to the outbox for the webhooks named with it, unless it is there. Returns how many
        notifications were added."""
        notifications = [
            Notification(
                id=notification_id(event, webhook),
                webhook=webhook,
                due=to_milliseconds(event.at),
                created_at=now,
                event=event,
            )
            for event, webhooks in events
            for webhook in webhooks
        ]
        return self._database.insert("notifications", [one.to_document() for one in notifications])

    def waiting(self, webhook: str, now: datetime, limit: int) -> list[Notification]:
        """Returns the notifications that may be sent to a webhook now, oldest first; damaged ones are removed."""
        query = Query(
            "notifications",
            {"webhook": webhook, "state": "waiting"},
            between=("due", 0, to_milliseconds(now) + 1),
            order=(("due", 1), ("_id", 1)),
            limit=limit,
        )
        listing = self._database.read(Notification, query)
        for broken in listing.broken:
            self._database.remove("notifications", broken.key, {})
        return listing.items

    def count(self, webhook: str) -> tuple[int, int]:
        """Returns how many notifications wait for a webhook, and how many were given up and not yet forgotten."""
        waiting, given_up = (
            self._database.count(Query("notifications", {"webhook": webhook, "state": state}))
            for state in ("waiting", "given_up")
        )
        return waiting, given_up

    def mark_sent(self, notification: Notification, at: datetime) -> bool:
        """Records that the receiver took it. False if that was recorded already."""
        return self._end(notification, {"state": "sent", "ended_at": at, "problem": None})

    def give_up(self, notification: Notification, problem: str, at: datetime) -> bool:
        """Records that it is sent no more."""
        return self._end(notification, {"state": "given_up", "ended_at": at, "problem": problem})

    def put_off(self, notification: Notification, problem: str, due: datetime) -> bool:
        """Records that the receiver refused it, and when it is tried again."""
        tries = notification.tries + 1
        return self._end(notification, {"tries": tries, "due": to_milliseconds(due), "problem": problem})

    def forget_old(self, now: datetime) -> int:
        """Removes the notifications of events that happened too long ago; returns how many."""
        return self._database.remove_between("notifications", "", oldest_id(now))

    def webhook_states(self, names: Sequence[str]) -> dict[str, WebhookState]:
        """Returns the state of each webhook by its name; of one that was never used its beginning."""
        found = self._documents(WebhookState, [webhook_state_id(name) for name in names])
        return {name: found.get(webhook_state_id(name), WebhookState(id=webhook_state_id(name))) for name in names}

    def lease_webhook(self, state: WebhookState, until: datetime) -> bool:
        """Takes the right to send to a webhook until a time. False if another pass took it since `state` was read."""
        if state.free_at == 0:
            self._database.insert("controllers", [WebhookState(id=state.id).to_document()])
        change = Guarded("controllers", state.id, {"free_at": (state.free_at,)}, {"free_at": to_milliseconds(until)})
        return self._database.change(change) is not None

    def release_webhook(self, state: WebhookState, leased_until: datetime) -> bool:
        """Stores the state, whose `free_at` says when the next pass may send. False if the lease ran out and another
        pass holds one."""
        fields = state.to_document()
        expect = {"free_at": (to_milliseconds(leased_until),)}
        return self._database.change(Guarded("controllers", fields.pop("_id"), expect, fields)) is not None

    def try_again(self, state: WebhookState, now: datetime) -> bool:
        """Ends the backoff of a webhook, which works again. False if it has none, or another pass sends now."""
        if state.failing_since is None or state.free_at <= to_milliseconds(now + LEASE):
            return False
        changes = {"free_at": to_milliseconds(now)}
        return (
            self._database.change(Guarded("controllers", state.id, {"free_at": (state.free_at,)}, changes)) is not None
        )

    def conditions(self, ids: Sequence[str]) -> dict[str, Condition]:
        """Returns those conditions that are known, by id."""
        return self._documents(Condition, ids)

    def change_condition(self, before: Condition, after: Condition) -> bool:
        """Stores a condition in place of the version that was read. False if another pass was faster."""
        if before.episode == 0 and before.seen_at is None:
            self._database.insert("controllers", [Condition(id=before.id).to_document()])
        fields = after.to_document()
        names = ("episode", "announced", "holds")
        expect = {name: (value,) for name, value in before.to_document().items() if name in names}
        return self._database.change(Guarded("controllers", fields.pop("_id"), expect, fields)) is not None

    def forget_conditions(self, ids: Iterable[str]) -> None:
        """Removes conditions of what has ended."""
        for id in ids:
            self._database.remove("controllers", id, {})

    def _ended(self, collection: Collection, statuses: Sequence[str], limit: int) -> Iterable[StoredDocument]:
        query = Query(collection, {MARK: True, "status": tuple(statuses)}, limit=limit, without=("config",))
        return (one for one in self._database.find(query) if is_known(collection, one))  # others: a newer pass's

    def _end(self, notification: Notification, changes: Mapping[str, object]) -> bool:
        expect = {"state": ("waiting",), "tries": (notification.tries,)}
        return self._database.change(Guarded("notifications", notification.id, expect, changes)) is not None

    def _documents(self, model: type[Model], ids: Sequence[str]) -> dict[str, Model]:
        """The documents of `controllers`; a damaged one is replaced by its beginning."""
        found: dict[str, Model] = {}
        if not ids:
            return found
        for document in self._database.find(Query("controllers", {"_id": tuple(ids)})):
            try:
                found[document["_id"]] = model.from_document(document)
            except BrokenDocument:
                self._database.replace("controllers", model.model_validate({"id": document["_id"]}).to_document())
        return found
