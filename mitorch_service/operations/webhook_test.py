"""Sends a test message to webhooks, at once and past the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from mitorch_service.controller.notify.event_building import sample_event
from mitorch_service.errors import NoDatabase, NotFound, SettingsError
from mitorch_service.models.base import new_id
from mitorch_service.stores.base import Store
from mitorch_service.webhook_settings.entry_checks import REMEDY, VARIABLE
from mitorch_service.webhook_settings.webhook import Webhook
from mitorch_service.webhooks.event_delivery import Answer, deliver

_SECONDS = 10.0  # for each


def send_test(webhooks: Sequence[Webhook], names: Sequence[str] = ()) -> list[tuple[Webhook, Answer]]:
    """Sends a message to each webhook, or to those named, and returns the answers. Raises SettingsError without any
    webhook, NotFound for a name that none has; then nothing was sent."""
    if not webhooks:
        raise SettingsError(VARIABLE, "is not set", REMEDY)
    for name in names:
        if name not in {webhook.name for webhook in webhooks}:
            known = ", ".join(webhook.name for webhook in webhooks)
            raise NotFound("webhook", name, f"{VARIABLE} has {known}.")
    chosen = [webhook for webhook in webhooks if not names or webhook.name in names]
    now = datetime.now(UTC)
    event = sample_event(now, new_id())
    return [(webhook, deliver(webhook, event, now, _SECONDS)) for webhook in chosen]


def tried_again(open_store: Callable[[], Store], webhooks: Iterable[Webhook]) -> None:
    """Ends the backoff of webhooks that work, if there is a database."""
    try:
        store = open_store()
    except NoDatabase:
        return
    now = store.now()
    for state in store.notifications.webhook_states([webhook.name for webhook in webhooks]).values():
        store.notifications.try_again(state, now)
