"""Delivers one event to one webhook, and reads its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mitorch_service.models.notification import Event
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.webhook_settings.webhook import Kind, Webhook
from mitorch_service.webhooks.json_payload import Json, json_payload
from mitorch_service.webhooks.shortening import on_one_line
from mitorch_service.webhooks.signature import signature
from mitorch_service.webhooks.slack_message import slack_message
from mitorch_service.webhooks.teams_card import teams_card

if TYPE_CHECKING:
    from mitorch_service.webhooks.post import Reply

_FORMATS: Mapping[Kind, Callable[[Event], Json]] = {
    "slack": slack_message,
    "teams": teams_card,
    "json": json_payload,
}
_LATER = (408, 425, 429)  # statuses that say nothing of the request itself
_LONGEST_WAIT = 3600.0  # seconds that a receiver may ask for


@dataclass(frozen=True)
class Answer:
    """How a webhook took an event."""

    problem: str | None = None  # None: it took it
    of_request: bool = False  # it refused this event; another one may pass
    wait: float | None = None  # seconds that the receiver asks to wait


def deliver(webhook: Webhook, event: Event, now: datetime, seconds: float) -> Answer:
    """Posts the event in the receiver's format. Never raises for what the receiver does, and returns within about
    `seconds`. `now`: for the signature's timestamp."""
    from mitorch_service.webhooks.post import post  # urllib.request is read only where something is sent

    body = json.dumps(_FORMATS[webhook.kind](event), ensure_ascii=False).encode()
    reply = post(webhook.url.get_secret_value(), body, _headers(webhook, event, now, body), seconds)
    return _answer(reply, now)


def _headers(webhook: Webhook, event: Event, now: datetime, body: bytes) -> dict[str, str]:
    """The id tells a receiver that it has the event already: a sender that dies between the answer and its own note of
    it sends again."""
    timestamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "mitorch-service",
        "Idempotency-Key": f'"{event.id}"',
        "webhook-id": event.id,
        "webhook-timestamp": str(timestamp),
    }
    if webhook.kind == "json":
        headers["webhook-signature"] = signature(webhook.key(), event.id, timestamp, body)
    return headers


def _answer(reply: Reply, now: datetime) -> Answer:
    if reply.status is None:
        return Answer(mask_secrets(reply.text))
    if 200 <= reply.status < 300:
        return Answer()
    if 300 <= reply.status < 400:
        return Answer(f"it answers with a redirect ({reply.status}), which is not followed: set its new address")
    text = on_one_line(mask_secrets(reply.text))
    problem = f"HTTP {reply.status}" + (f": {text}" if text else "")
    refused = reply.status < 500 and reply.status not in _LATER
    return Answer(problem, refused, _wait(reply.retry_after, now))


def _wait(header: str | None, now: datetime) -> float | None:
    """The seconds of a Retry-After, which is a number or a date; None if it is neither."""
    if not header:
        return None
    from email.utils import parsedate_to_datetime

    try:
        is_number = header.strip().isdecimal()
        seconds = float(header) if is_number else (parsedate_to_datetime(header) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)
