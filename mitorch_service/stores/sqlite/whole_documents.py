"""Adds whole documents to a SQLite database, or puts them in the place of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.schema_versions import is_known
from mitorch_service.stores.document_paths import guard_holds, to_text
from mitorch_service.stores.requests import Collection, StoredDocument
from mitorch_service.stores.salvage import parse_document
from mitorch_service.stores.sqlite.columns import column_names, column_values
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.reading import SqliteReading
from mitorch_service.stores.sqlite.removals import SqliteRemovals, is_at_least
from mitorch_service.stores.sqlite.schema import TABLES
from mitorch_service.stores.sqlite.tags import add_tags, tag_rows

Rows = dict[str, tuple[Any, ...]]
Tags = dict[str, list[tuple[str, Any, Any]]]


class SqliteDocuments:
    """The writes of whole documents, each made within a transaction that the caller has begun."""

    def __init__(self, connection: SqliteConnection, reading: SqliteReading, removals: SqliteRemovals) -> None:
        self._connection, self._reading, self._removals = connection, reading, removals

    def insert(self, collection: Collection, rows: Rows, tags: Tags) -> int:
        """Adds the rows that `rows_of` has made, but for those whose `_id` is there."""
        for id in self._reading.present(collection, list(rows)):
            del rows[id], tags[id]
        names = column_names(collection)
        sql = f"INSERT INTO {collection} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        self._connection.db.executemany(sql, rows.values())
        add_tags(self._connection.db, collection, chain.from_iterable(tags.values()))
        return len(rows)

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        try:
            found = self._reading.read(collection, document["_id"])
            if found is not None and found[fence] > document[fence]:
                return False
        except (BrokenDocument, KeyError, TypeError):  # it is damaged: nothing is lost
            pass
        row = _row(collection, document)
        sql = f"INSERT OR REPLACE INTO {collection} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        self._connection.db.execute(sql, tuple(row.values()))
        return True

    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        for id, body in self._reading.bodies_between(collection, low, high):
            try:
                document = parse_document(id, body)
            except ValueError:  # nobody reads it
                continue
            if not is_at_least(document, field, least):
                self.replace(collection, {**document, field: least})

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        row = _row(collection, document)
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        # REPLACE would delete the row before without its trigger, and so miscount.
        sets = ", ".join(f"{name} = excluded.{name}" for name in row if name != "_id")
        sql = f"INSERT INTO {collection} ({names}) VALUES ({marks}) ON CONFLICT (_id) DO UPDATE SET {sets}"
        self._connection.db.execute(sql, tuple(row.values()))
        add_tags(self._connection.db, collection, tag_rows(collection, document))

    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]], document: StoredDocument
    ) -> bool:
        found = self._reading.read(collection, id)
        if found is None or not guard_holds(found, expect):
            return False
        if document["_id"] != id and not self._reading.present(collection, [str(document["_id"])]):
            self.replace(collection, document)
        if document["_id"] != id:
            return self._removals.remove(collection, id, expect)
        self.replace(collection, found | document)
        return True

    def mend(self, collection: Collection, id: object) -> bool:
        document = self._reading.salvage(collection, id)
        if document is None or not is_known(collection, document):
            return False
        self.replace(collection, document)
        return True


def rows_of(collection: Collection, documents: Iterable[Mapping[str, Any]]) -> tuple[Rows, Tags]:
    """Returns the row of each document and those of its tags, by `_id`; of several with one the first."""
    rows: Rows = {}
    tags: Tags = {}
    for document in documents:  # one is held at a time: many would keep Python's collector busy
        id = document["_id"]
        if id not in rows:
            rows[id] = tuple(_row(collection, document).values())
            tags[id] = tag_rows(collection, document)
    return rows, tags


def _row(collection: Collection, document: Mapping[str, Any]) -> dict[str, Any]:
    table = TABLES[collection]
    body = {name: value for name, value in document.items() if name != table.apart}
    row: dict[str, Any] = {"_id": document["_id"]}
    row.update({table.columns[path]: value for path, value in column_values(collection, document).items()})
    if table.apart is not None:
        row[table.apart] = to_text(document.get(table.apart))
    row["body"] = to_text(body)
    return row
