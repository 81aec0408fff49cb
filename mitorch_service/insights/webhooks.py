"""How the webhooks answer, what waits for them and what was given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.models.notification import WebhookState, webhook_text
from mitorch_service.stores.base import Store
from mitorch_service.webhook_settings.webhook import Webhook


@dataclass(frozen=True)
class WebhookStatus:
    """One webhook: its settings without what is secret, and how it answers."""

    name: str
    kind: str
    host: str
    waiting: int  # notifications
    given_up: int  # of the last 30 days
    state: WebhookState

    def text(self, now: datetime) -> str:
        """Returns its state in words."""
        return webhook_text(self.state, self.waiting, self.given_up, now)


def read_webhook_states(store: Store, webhooks: Sequence[Webhook]) -> list[WebhookStatus]:
    """Returns the state of each webhook of the settings, in their order."""
    states = store.notifications.webhook_states([webhook.name for webhook in webhooks])
    return [
        WebhookStatus(hook.name, hook.kind, hook.host, *store.notifications.count(hook.name), states[hook.name])
        for hook in webhooks
    ]
