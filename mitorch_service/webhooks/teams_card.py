"""The message of a Microsoft Teams workflow ("When a Teams webhook request is received"), which takes Adaptive Cards
(learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors).

A TextBlock and a Fact are Markdown; a TextRun is not (adaptivecards.io/explorer/TextRun.html). So everything that
people wrote is in runs, which no client formats.
"""

from __future__ import annotations

from mitorch_service.models.notification import Event
from mitorch_service.webhooks.json_payload import Json
from mitorch_service.webhooks.shortening import on_one_line, shortened

_COLORS = {"completed": "Good", "canceled": "Default", "test": "Default", "limit": "Warning", "leak": "Warning"}


def teams_card(event: Event) -> Json:
    """Returns a message with one card."""
    color = _COLORS.get(event.kind.value.rpartition(".")[2], "Attention")
    name = [_run(f" {on_one_line(event.name)}")] if event.name else []
    body = [_block([_run(event.subject, weight="Bolder", color=color), *name, _run(f" {on_one_line(event.text)}")])]
    if event.reason:
        body += [_block([_run(line or " ", fontType="Monospace")]) for line in shortened(event.reason).split("\n")[:20]]
    body += [_block([_run(f"{key}: ", isSubtle=True), _run(on_one_line(value))]) for key, value in event.facts.items()]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": on_one_line(f"{event.subject} {event.text}"),
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _run(text: str, **style: object) -> Json:
    return {"type": "TextRun", "text": text, **style}


def _block(runs: list[Json]) -> Json:
    return {"type": "RichTextBlock", "inlines": runs, "spacing": "Small"}
