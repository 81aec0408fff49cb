"""The payload of a webhook of kind json: ``type``, ``timestamp`` and ``data``, as Standard Webhooks recommends."""

from __future__ import annotations

from mitorch_service.models.notification import Event

Json = dict[str, object]


def json_payload(event: Event) -> Json:
    """Returns the payload; a program should read `type` and `facts`, the texts are for people."""
    return {
        "type": event.kind.value,
        "timestamp": f"{event.at:%Y-%m-%dT%H:%M:%S}.{event.at.microsecond // 1000:03d}Z",
        "id": event.id,
        "data": {
            "subject": event.subject,
            "name": event.name,
            "text": event.text,
            "reason": event.reason,
            "facts": event.facts,
        },
    }
