"""Deletes documents of a SQLite database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.schema_versions import is_known
from mitorch_service.stores.document_paths import guard_holds
from mitorch_service.stores.requests import Collection, Removal, StoredDocument
from mitorch_service.stores.salvage import parse_document
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.reading import SqliteReading
from mitorch_service.stores.sqlite.tags import remove_tags, tag_rows


class SqliteRemovals:
    """The deletions, each made within a transaction that the caller has begun."""

    def __init__(self, connection: SqliteConnection, reading: SqliteReading) -> None:
        self._connection, self._reading = connection, reading

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        try:
            document = self._reading.read(collection, id)
        except BrokenDocument:
            document = self._reading.salvage(collection, id)
        if document is None or not is_known(collection, document) or not guard_holds(document, expect):
            return False
        self._connection.db.execute(f"DELETE FROM {collection} WHERE _id = ?", (id,))
        remove_tags(self._connection.db, collection, tag_rows(collection, document))
        return True

    def remove_with_records(self, removal: Removal) -> bool:
        if not self.remove(removal.collection, removal.id, removal.expect):
            return False
        records, low, high = removal.records
        self._connection.db.execute(f"DELETE FROM {records} WHERE _id >= ? AND _id < ?", (low, high))
        return True

    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None) -> int:
        if unless is not None:
            return self._remove_older(collection, low, high, *unless)
        return self._connection.db.execute(f"DELETE FROM {collection} WHERE _id >= ? AND _id < ?", (low, high)).rowcount

    def _remove_older(self, collection: Collection, low: str, high: str, field: str, least: int) -> int:
        rows = self._reading.bodies_between(collection, low, high)
        older = [(id,) for id, body in rows if not _has_at_least(id, body, field, least)]
        self._connection.db.executemany(f"DELETE FROM {collection} WHERE _id = ?", older)
        return len(older)


def is_at_least(document: StoredDocument, field: str, least: int) -> bool:
    """Returns whether the document has a number that is not below `least`."""
    value = document.get(field)
    return isinstance(value, int) and value >= least


def _has_at_least(id: object, body: bytes, field: str, least: int) -> bool:
    """The same of a stored text; a damaged one has no number."""
    try:
        return is_at_least(parse_document(id, body), field, least)
    except ValueError:
        return False
