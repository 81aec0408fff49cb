"""The message of a Slack incoming webhook (docs.slack.dev/messaging/formatting-message-text).

``&``, ``<`` and ``>`` are control characters, by which a text could mention a whole channel; they are replaced by
entities. What people wrote stands between backticks, where Slack formats nothing.
"""

from __future__ import annotations

from mitorch_service.models.notification import Event
from mitorch_service.webhooks.json_payload import Json
from mitorch_service.webhooks.shortening import on_one_line, shortened

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SIGNS = {"completed": ":white_check_mark:", "canceled": ":heavy_minus_sign:", "test": ":wave:"}
_MOST = 2800  # characters of a section, which may have 3000


def slack_message(event: Event) -> Json:
    """Returns blocks, and the text that notifications and screen readers show."""
    name = f" {_code(event.name)}" if event.name else ""
    sign = _SIGNS.get(event.kind.value.rpartition(".")[2], ":warning:")
    sections = [f"{sign} *{escaped(event.subject)}*{name} {escaped(on_one_line(event.text))}"]
    if event.reason:
        sections.append(f"```{_fit(_unquoted(shortened(event.reason)))}```")
    facts = [f"{escaped(name)}: {_code(value)}" for name, value in event.facts.items()]
    sections += ["\n".join(facts)] if facts else []
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}} for text in sections]
    return {"text": escaped(on_one_line(f"{event.subject} {event.text}")), "blocks": blocks}


def escaped(text: str) -> str:
    """Returns the text without Slack's control characters."""
    return text.translate(_ENTITIES)


def _code(text: str) -> str:
    return f"`{escaped(on_one_line(text).replace('`', 'ˋ')) or ' '}`"


def _unquoted(text: str) -> str:
    return escaped(text.replace("`", "ˋ"))


def _fit(text: str) -> str:
    """Cuts escaped text, not within an entity."""
    if len(text) <= _MOST:
        return text
    head = text[:_MOST]
    entity = head.rfind("&")
    return (head[:entity] if entity > _MOST - 6 and ";" not in head[entity:] else head) + "…"
