"""Reads the fields of a document as MiTorch's own page prints them, or as a shell or driver stores them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mitorch_service.errors import Problem
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.labels import PRIORITIES, name_problems, tag_problems
from mitorch_service.models.training import DEFAULT_PRIORITY

_IDS = uuid.UUID("5f0c4a4e-6d1b-5a3e-9d53-1f6f3a2b7c10")  # of this module: never changes
_SHOWN = 60


@dataclass
class ForeignFields:
    """The fields that every training and job has, read from a foreign document. What cannot be read has its default,
    and is in `problems`."""

    document: Mapping[str, Any]
    problems: list[Problem] = field(default_factory=list)

    def priority(self) -> int:
        """Returns `priority`, or `prority`, which is how the page spells it; a shell stores 100 as 100.0."""
        name = "priority" if self.document.get("priority") is not None else "prority"
        value = self.document.get(name)
        if value is None:
            return DEFAULT_PRIORITY
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value not in PRIORITIES:
            self._add(name, value, "must be a whole number, lower first, such as 100")
            return DEFAULT_PRIORITY
        return int(value)

    def created_at(self, now: datetime) -> datetime:
        """Returns the time, which is UTC if it names no zone; `now` without one."""
        value = self.document.get("created_at")
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            return to_utc_milliseconds(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
        if value is not None:
            self._add("created_at", value, "must be a time in UTC such as 2026-11-29T12:00:00Z")
        return now

    def dataset(self) -> DatasetRef | None:
        """Returns the data set of the document, or of its config; None without one."""
        config = self.document.get("config")
        value = self.document.get("dataset")
        if value is None and isinstance(config, Mapping):
            value = config.get("dataset")
        if value is None:
            return None
        try:
            if isinstance(value, Mapping):
                return DatasetRef(name=value["name"], version=value.get("version"))
            return DatasetRef.parse(value)
        except (ValueError, AttributeError, LookupError):
            self._add("dataset", value, 'must be a name such as "digits", or "digits:2" for a version')
            return None

    def name(self) -> str | None:
        """Returns the name that people look for."""
        value = self.document.get("name")
        if value is None or (isinstance(value, str) and not list(name_problems(value))):
            return value
        self._add("name", value, "must be a text of at most 200 characters, or be left out")
        return None

    def tags(self) -> list[str]:
        """Returns the tags."""
        value = self.document.get("tags")
        if not value:
            return []
        if isinstance(value, list) and all(isinstance(tag, str) for tag in value) and not list(tag_problems(value)):
            return list(dict.fromkeys(value))
        self._add("tags", value, 'must be a list of texts such as ["team=vision"]')
        return []

    def submitted_by(self) -> str | None:
        """Returns the person, if somebody has said who it is."""
        value = self.document.get("submitted_by")
        return value if isinstance(value, str) else None

    def config(self) -> dict[str, Any]:
        """Returns the config; a GUID in `base` is text, however a driver has stored it."""
        value = self.document.get("config")
        if not isinstance(value, dict):
            problem = "is required" if value is None else f"must be an object {{…}} (it is {_shown(value)})"
            self.problems.append(Problem("config", f"{problem}: write the training config there"))
            return {}
        return {**value, "base": own_id(value["base"])} if isinstance(value.get("base"), bytes) else dict(value)

    def _add(self, name: str, value: object, problem: str) -> None:
        self.problems.append(Problem(name, f"{problem} (it is {_shown(value)})"))


def own_id(key: object) -> str:
    """Returns the GUID in text form that stands for a foreign `_id`: the same one, if it is a GUID in any form, else
    one that follows from it."""
    if isinstance(key, bytes) and len(key) == 16:  # how drivers store a GUID
        return str(uuid.UUID(bytes=bytes(key)))
    try:
        return str(uuid.UUID(str(key)))
    except ValueError:
        return str(uuid.uuid5(_IDS, f"{type(key).__name__} {key}"))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
