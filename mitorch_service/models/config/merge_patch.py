"""JSON merge patches (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue


def merge_patch(target: Mapping[str, JsonValue], patch: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Returns the target with the patch applied, as in RFC 7396: objects are merged, null removes a key, other values
    replace. Does not change the target."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            inner = merged.get(key)
            merged[key] = merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[key] = value
    return merged
