"""Reads values of stored trainings as they are, without a model: tables look at a hundred thousand in a second. A value
of a wrong type is none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mitorch_service.models.base import JsonObject, to_utc_milliseconds
from mitorch_service.stores.document_paths import value_at


def text_of(value: object) -> str | None:
    """The value if it is a text."""
    return value if isinstance(value, str) else None


def number_of(value: object) -> float | int | None:
    """The value if it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def time_of(value: object) -> datetime | None:
    """The time: SQLite keeps it as text."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return to_utc_milliseconds(value if value.tzinfo is not None else value.replace(tzinfo=UTC))


def texts_of(value: object) -> list[str]:
    """The texts of a list."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def keyed_value(mapping: object, path: str) -> object:
    """The value under a key, which may itself hold dots, else at a dotted path."""
    if not isinstance(mapping, Mapping):
        return None
    return mapping[path] if path in mapping else value_at(mapping, path)


def current_attempt(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attempt under way, or the last one; empty before the first."""
    attempts, number = document.get("attempts"), document.get("attempt")
    if not isinstance(attempts, list) or not isinstance(number, int) or not 0 < number <= len(attempts):
        return {}
    found = attempts[number - 1]
    return found if isinstance(found, Mapping) else {}


def measure_of(document: Mapping[str, Any], name: str) -> float | int | None:
    """A metric or loss of the evaluation (of the epoch whose weights were kept), else of the last epoch."""
    found = number_of(keyed_value(document.get("evaluation"), name))
    return last_measure_of(document, name) if found is None else found


def last_measure_of(document: Mapping[str, Any], name: str) -> float | int | None:
    """A metric or loss of the last epoch that was reported."""
    progress = document.get("progress")
    if not isinstance(progress, Mapping):
        return None
    if name in ("train_loss", "val_loss", "epoch_seconds"):
        return number_of(progress.get(name))
    return number_of(keyed_value(progress.get("metrics"), name))


def parameters_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a trial, or of a search's final training."""
    for field in ("trial", "refit"):
        part = document.get(field)
        parameters = part.get("parameters") if isinstance(part, Mapping) else None
        if isinstance(parameters, Mapping):
            return parameters
    return {}


def flat(value: Mapping[str, object], prefix: str = "", most: int | None = None) -> Iterator[tuple[str, object]]:
    """Yields the leaves of nested objects by dotted path, at most so many."""
    left = math.inf if most is None else most
    for name, item in value.items():
        leaves = (
            flat(item, f"{prefix}{name}.", most) if isinstance(item, dict) and item else [(f"{prefix}{name}", item)]
        )
        for leaf in leaves:
            if left <= 0:
                return
            yield leaf
            left -= 1


def config_of(document: Mapping[str, Any]) -> JsonObject:
    """The config with credentials masked, so that no filter can guess them."""
    from mitorch_service.models.config.script import masked_config

    config = document.get("config")
    if not isinstance(config, dict):
        return {}
    return masked_config(config) if "script" in config else config
