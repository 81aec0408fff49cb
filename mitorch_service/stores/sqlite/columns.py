"""The columns beside the stored documents, and their values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mitorch_service.stores.document_paths import value_at
from mitorch_service.stores.requests import Collection
from mitorch_service.stores.sqlite.schema import TABLES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def column_values(collection: Collection, document: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a document's columns, by dotted path."""
    table = TABLES[collection]
    values = {path: value_at(document, path) for path in table.columns}
    return values | {path: _milliseconds(values[path]) for path in table.times} if table.times else values


def stored(value: object) -> object:
    """A value to compare a column with."""
    return _milliseconds(value) if isinstance(value, datetime) else value


def time_text(value: object) -> str | None:
    """The time in such a column as documents hold it; None for what is none."""
    if not isinstance(value, int):
        return None
    time = _EPOCH + timedelta(milliseconds=value)
    return time.isoformat(timespec="microseconds" if time.microsecond else "seconds").replace("+00:00", "Z")


def _milliseconds(value: object) -> int | None:
    """Milliseconds since 1970 of a time, which a stored document holds as text; None for what is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def column_names(collection: Collection) -> list[str]:
    """The columns of a table, in the order of a row that is inserted."""
    table = TABLES[collection]
    return ["_id", *table.columns.values(), *filter(None, [table.apart]), "body"]
