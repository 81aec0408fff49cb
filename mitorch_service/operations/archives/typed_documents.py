"""Stored documents with the types of their model, in place of the texts that JSON has for times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitorch_service.models.base import Document


def typed(document: Document, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the document's values, times and numbers that are not finite among them, and the fields of what is stored
    that it does not know."""
    return _over(dict(stored), document.to_document())


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in above.items():
        inner = below.get(name)
        below[name] = _over(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return below
