"""Dotted paths into plain documents, as MongoDB reads and sets them: for the store that has no such language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json


def value_at(document: Any, path: str) -> Any:
    """The value at a dotted path; None where any step is missing."""
    if "." not in path and isinstance(document, dict):
        return document.get(path)
    for step in path.split("."):
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal():
            document = document[int(step)] if int(step) < len(document) else None
        else:
            return None
    return document


def guard_holds(document: Mapping[str, Any], expect: Mapping[str, tuple[Any, ...]]) -> bool:
    """Whether each guarded path has one of its expected values."""
    return all(value_at(document, path) in values for path, values in expect.items())


def set_at(document: dict[str, Any], path: str, value: Any) -> None:
    """Sets a dotted path, creating mappings on the way; a list takes the index behind its last as an append.

    Raises ValueError where a step leads into something that is neither.
    """
    *steps, last = path.split(".")
    target: Any = document
    for step in steps:
        if isinstance(target, dict):
            if target.get(step) is None:
                target[step] = {}
            target = target[step]
        else:
            target = target[_index(target, step, path)]
    if isinstance(target, dict):
        target[last] = value
    elif isinstance(target, list) and last.isdecimal() and int(last) == len(target):
        target.append(value)
    else:
        target[_index(target, last, path)] = value


def _index(target: Any, step: str, path: str) -> int:
    if not isinstance(target, list) or not step.isdecimal() or int(step) >= len(target):
        raise ValueError(f"cannot set {path}: nothing at {step}")
    return int(step)


def to_text(value: Any) -> str:
    """JSON text; times in ISO form, NaN and infinities as Python writes and reads them."""
    return to_json(value, inf_nan_mode="constants").decode()


def from_text(text: str | bytes) -> Any:
    """The reverse of `to_text`, except that times stay text."""
    return from_json(text)
