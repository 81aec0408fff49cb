"""The filters, orders and pages of listings (a small part of OData, as the SDK writes it)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.azureml_emulator.messages import Refusal

_TOKEN = re.compile(r'\s*(\(|\)|"[^"]*"|[^\s()]+)')
_FIELDS = {
    "status": "status",
    "runid": "runId",
    "parentrunid": "parentRunId",
    "target": "target",
    "createdutc": "createdUtc",
    "starttimeutc": "startTimeUtc",
    "runtype": "runType",
    "name": "name",
}


def matches(text: str | None, document: Mapping[str, Any]) -> bool:
    """Whether a run fits the filter; no filter fits all. Raises Refusal where the filter cannot be read."""
    if not text:
        return True
    words = _TOKEN.findall(text)
    value, rest = _either(words, document)
    if rest:
        raise Refusal(400, "UserError", f"The filter {text!r} cannot be read at {' '.join(rest)!r}.")
    return value


def page(documents: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], size: int) -> dict[str, Any]:
    """One page, newest first unless asked otherwise, and the token of the next."""
    name, _, direction = (asked.get("orderby") or "CreatedUtc desc").partition(" ")
    field = _FIELDS.get(name.lower(), "createdUtc")
    descending = direction.strip() == "desc"
    ordered = sorted(documents, key=lambda found: (found[field] or "", found["createdUtc"]), reverse=descending)
    start = int(asked.get("continuationToken") or 0)
    end = start + min(int(asked.get("top") or size), size)
    token = str(end) if end < len(ordered) else None
    return {"value": ordered[start:end], "continuationToken": token, "nextLink": None}


def _either(words: list[str], document: Mapping[str, Any]) -> tuple[bool, list[str]]:
    value, words = _both(words, document)
    while words and words[0].lower() == "or":
        other, words = _both(words[1:], document)
        value = value or other
    return value, words


def _both(words: list[str], document: Mapping[str, Any]) -> tuple[bool, list[str]]:
    value, words = _one(words, document)
    while words and words[0].lower() == "and":
        other, words = _one(words[1:], document)
        value = value and other
    return value, words


def _one(words: list[str], document: Mapping[str, Any]) -> tuple[bool, list[str]]:
    if words and words[0] == "(":
        value, rest = _either(words[1:], document)
        if not rest or rest[0] != ")":
            raise Refusal(400, "UserError", "The filter has a bracket that is not closed.")
        return value, rest[1:]
    if len(words) < 3:
        raise Refusal(400, "UserError", f"The filter ends too early, at {' '.join(words)!r}.")
    name, operator, wanted = words[0], words[1].lower(), words[2]
    return _compare(_value(name, document), operator, _literal(wanted)), words[3:]


def _value(name: str, document: Mapping[str, Any]) -> str | None:
    kind, _, inner = name.partition("/")
    if kind.lower() in ("tags", "properties"):
        value = document[kind.lower()].get(inner)
    elif kind.lower() in _FIELDS:
        value = document[_FIELDS[kind.lower()]]
    else:
        raise Refusal(400, "UserError", f"The filter names {name!r}, which a run does not have.")
    return None if value is None else str(value)


def _literal(word: str) -> str | None:
    return None if word.lower() == "null" else word.strip('"')


def _compare(value: str | None, operator: str, wanted: str | None) -> bool:
    if operator == "eq":
        return value == wanted
    if operator == "ne":
        return value != wanted
    if value is None or wanted is None:
        return False
    if operator in ("ge", "gt"):
        return value > wanted or (operator == "ge" and value == wanted)
    if operator in ("le", "lt"):
        return value < wanted or (operator == "le" and value == wanted)
    raise Refusal(400, "UserError", f"The filter has an unknown operator {operator!r}.")
