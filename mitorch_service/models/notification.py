"""The documents of notifications: events, their outbox, the state of each webhook, and conditions that last."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

from pydantic import Field

from mitorch_service.models.base import Document, UtcTime
from mitorch_service.webhook_settings.webhook import EventKind

GIVE_UP_AFTER = timedelta(days=3)  # a notification that its receiver has not taken by then
LEASE = timedelta(seconds=60)  # for which a pass may send to a webhook
KEEP_FOR = timedelta(days=30)  # notifications that were sent or given up
_NAMESPACE = uuid.UUID("6f0f5f9a-41c5-5d0c-9c3e-2f8f6f2f7f11")

NotificationState = Literal["waiting", "sent", "given_up"]


class Event(Document):
    """Something that happened, in words for people and as facts for programs. Holds no secret."""

    stored_as: ClassVar[str] = "event"

    id: str  # the same whichever pass records it
    kind: EventKind
    at: UtcTime
    subject: str  # what it is about: training 1a2b3c4d, job 1a2b3c4d, cluster gpu
    name: str | None = None  # that a person gave it
    text: str  # what happened
    reason: str | None = None
    facts: dict[str, str] = Field(default_factory=dict)
    of_search: bool = False  # of a trial or final training


class Notification(Document):
    """A document of the collection `notifications`: an event for one webhook."""

    stored_as: ClassVar[str] = "notification"

    id: str  # begins with the time of the event, by which old ones are removed
    webhook: str  # its name
    state: NotificationState = "waiting"
    due: int  # milliseconds since 1970 from which on it may be sent; orders those that wait
    created_at: UtcTime
    tries: int = 0  # answers that refused it
    problem: str | None = None  # the last one
    ended_at: UtcTime | None = None  # when it was sent or given up
    event: Event


class WebhookState(Document):
    """A document of the collection `controllers`: how a webhook answers, and which pass may send to it now."""

    stored_as: ClassVar[str] = "state of a webhook"

    id: str
    free_at: int = 0  # milliseconds since 1970 before which no pass sends: a lease, or the backoff
    failures: int = 0  # in a row
    failing_since: UtcTime | None = None
    problem: str | None = None  # the last one
    sent_at: UtcTime | None = None  # the last time that it took a notification


class Condition(Document):
    """A document of the collection `controllers`: something that lasts, such as a cluster that refuses trainings. Each
    time that it begins is an episode, which is announced once."""

    stored_as: ClassVar[str] = "condition"

    id: str
    episode: int = 0  # the number of times that it began
    announced: int = 0  # the last episode whose event is in the outbox
    holds: bool = False
    since: UtcTime | None = None  # when it was first seen in this episode, or since it is being watched
    seen_at: UtcTime | None = None  # the last time


def webhook_text(state: WebhookState, waiting: int, given_up: int, now: datetime) -> str:
    """Returns how a webhook answers, and what waits for it or was given up, for people."""
    if state.failing_since is not None:
        retry = f"; retrying at {_from_milliseconds(state.free_at):%H:%M:%S}" if _is_ahead(state, now) else ""
        parts = [f"fails since {state.failing_since:%Y-%m-%d %H:%M:%S} UTC ({state.problem}){retry}"]
    else:
        sent = "nothing sent yet" if state.sent_at is None else f"last sent {state.sent_at:%Y-%m-%d %H:%M:%S} UTC"
        parts = [sent]
    parts += [f"{waiting} waiting"] if waiting else []
    parts += [f"{given_up} given up after {GIVE_UP_AFTER.days} days"] if given_up else []
    return ", ".join(parts)


def _is_ahead(state: WebhookState, now: datetime) -> bool:
    return state.free_at > to_milliseconds(now)


def _from_milliseconds(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def event_id(at: datetime, key: str) -> str:
    """Returns an id that begins with the time and is the same for the same event; without a dot, which separates the
    parts of what is signed."""
    return f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}Z-{uuid.uuid5(_NAMESPACE, key).hex}"


def notification_id(event: Event, webhook: str) -> str:
    """Returns the id of an event's notification for one webhook."""
    return f"{event.id}:{webhook}"


def oldest_id(now: datetime) -> str:
    """Returns the text below which the ids of notifications are that are kept no longer."""
    return f"{now - KEEP_FOR:%Y%m%dT%H%M%S}"


def webhook_state_id(name: str) -> str:
    """Returns the id of a webhook's state."""
    return f"webhook:{name}"


def to_milliseconds(at: datetime) -> int:
    """Returns milliseconds since 1970."""
    return round(at.timestamp() * 1000)
