"""Guarded changes of documents in SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitorch_service.errors import BrokenDocument, StoreError
from mitorch_service.models.schema_versions import is_known, upgraded_for
from mitorch_service.stores.document_paths import guard_holds, set_at, to_text
from mitorch_service.stores.requests import Guarded, StoredDocument
from mitorch_service.stores.sqlite.columns import column_values
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.reading import SqliteReading
from mitorch_service.stores.sqlite.schema import TABLES
from mitorch_service.stores.sqlite.tags import add_tags, remove_tags, tag_rows


class SqliteChanges:
    """The changes, each made within a transaction that the caller has begun."""

    def __init__(self, connection: SqliteConnection, reading: SqliteReading) -> None:
        self._connection, self._reading = connection, reading

    def change(self, change: Guarded) -> dict[str, Any] | None:
        stored = self._reading.read(change.collection, change.id)
        if stored is None or not is_known(change.collection, stored):
            return None
        document = upgraded_for(change.collection, stored, change.set.get("status"))
        if not guard_holds(document, change.expect):
            return None
        before = column_values(change.collection, stored)  # setting a path may change the stored one, too
        tagged = tag_rows(change.collection, document) if "tags" in change.set else None
        self._set(document, change)
        self._write(document, before, change)
        if tagged is not None:
            remove_tags(self._connection.db, change.collection, tagged)
            add_tags(self._connection.db, change.collection, tag_rows(change.collection, document))
        return document

    def try_change(self, change: Guarded) -> bool:
        """Returns False for a damaged document, of which nothing was written, so that the other changes stay."""
        try:
            return self.change(change) is not None
        except (StoreError, BrokenDocument):
            return False

    def _set(self, document: StoredDocument, change: Guarded) -> None:
        try:
            for path, value in change.set.items():
                set_at(document, path, value)
        except ValueError as error:
            raise StoreError(self._connection.where, str(error), "The document is damaged: see miquery.") from error

    def _write(self, document: StoredDocument, before: Mapping[str, Any], change: Guarded) -> None:
        """Writes the changed document, whose columns had the values `before`, and takes out of it what is stored
        apart."""
        columns, apart = TABLES[change.collection].columns, TABLES[change.collection].apart
        # Columns that stay as they are are left out: each one named costs its indexes an entry.
        after = column_values(change.collection, document)
        row = {columns[path]: value for path, value in after.items() if value != before[path] or path in change.set}
        if apart is not None and apart in change.set:
            row[apart] = to_text(document.pop(apart))
        names = ", ".join(f"{name} = ?" for name in ("body", *row))
        values = (to_text(document), *row.values(), change.id)
        self._connection.db.execute(f"UPDATE {change.collection} SET {names} WHERE _id = ?", values)
