"""Converts Optuna's values to fields of stored documents: names without dots, JSON text, times in ISO form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def to_key(name: str) -> str:
    """Escapes the name of an attribute or parameter as a step of a dotted path."""
    return "_" + name.replace("%", "%25").replace(".", "%2E").replace("$", "%24").replace("\0", "%00")


def to_name(key: str) -> str:
    """The reverse of `to_key`."""
    return key[1:].replace("%00", "\0").replace("%24", "$").replace("%2E", ".").replace("%25", "%")


def to_fields(values: Mapping[str, Any]) -> dict[str, str]:
    """Converts a mapping with any names and JSON values. Raises TypeError for other values."""
    return {to_key(name): json.dumps(value) for name, value in values.items()}


def from_fields(fields: Mapping[str, str] | None) -> dict[str, Any]:
    """The reverse of `to_fields`; None gives an empty mapping."""
    return {to_name(key): json.loads(text) for key, text in (fields or {}).items()}


def to_time(local: datetime | None) -> str | None:
    """Converts Optuna's naive local time to UTC, to the microsecond."""
    return None if local is None else local.astimezone(UTC).isoformat()


def from_time(stored: str | datetime | None) -> datetime | None:
    """The reverse of `to_time`; takes a time of our documents too."""
    if stored is None:
        return None
    time = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return time.astimezone().replace(tzinfo=None)
