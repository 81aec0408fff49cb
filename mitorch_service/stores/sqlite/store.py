"""The store on one SQLite file: many processes, one machine (or none but this one, in memory)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.stores.base import Store
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Collection, Compaction, Guarded, Query, QueryPlan, Removal, StoredDocument
from mitorch_service.stores.sqlite.changes import SqliteChanges
from mitorch_service.stores.sqlite.compaction import compact
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.reading import SqliteReading
from mitorch_service.stores.sqlite.removals import SqliteRemovals
from mitorch_service.stores.sqlite.whole_documents import SqliteDocuments, rows_of


class SqliteStore(Store):
    """The store in the file at `path`, which is created if it is missing (with `created_late` by the first write);
    None: in memory, for as long as this object lives."""

    def __init__(self, path: Path | None, access: FileAccess = PRIVATE, created_late: bool = False) -> None:
        super().__init__(SqliteDatabase(path, access, created_late))


class SqliteDatabase(Primitives):
    """Each document as JSON text beside the columns by which it is found; see `SqliteConnection` for what survives.
    Begins the transaction of each write."""

    def __init__(self, path: Path | None, access: FileAccess = PRIVATE, created_late: bool = False) -> None:
        self._connection = SqliteConnection(path, access, created_late)
        self._reading = SqliteReading(self._connection)
        self._changes = SqliteChanges(self._connection, self._reading)
        self._removals = SqliteRemovals(self._connection, self._reading)
        self._documents = SqliteDocuments(self._connection, self._reading, self._removals)

    def prepare(self) -> None:
        pass  # opening has created everything

    def ping(self) -> str:
        with self._connection.errors():
            self._connection.rows("SELECT count(*) FROM sqlite_schema", ())
        return f"SQLite {sqlite3.sqlite_version}, {self._connection.where}"

    def close(self) -> None:
        self._connection.close()

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        return self._connection.time_limit(seconds)

    def check_writes(self) -> None:
        with self._connection.transaction():
            self._connection.db.execute("UPDATE training_counts SET n = n WHERE job_id = ''")

    def find(self, query: Query) -> Iterator[dict[str, Any]]:
        return self._reading.find(query)

    def scan(self, collection: Collection) -> Iterator[dict[str, Any]]:
        return self._reading.scan(collection)

    def count(self, query: Query) -> int:
        return self._reading.count(query)

    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        return self._reading.count_statuses(job_id)

    def explain(self, query: Query) -> QueryPlan:
        return self._reading.explain(query)

    def change(self, change: Guarded) -> dict[str, Any] | None:
        with self._connection.transaction():
            return self._changes.change(change)

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        with self._connection.transaction():
            return [self._changes.try_change(change) for change in changes]

    def change_then_put(
        self, change: Guarded, collection: Collection, document: Mapping[str, Any], fence: str
    ) -> dict[str, Any] | None:
        with self._connection.transaction():
            after = self._changes.change(change)
            return after if after is not None and self._documents.put(collection, document, fence) else None

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        rows, tags = rows_of(collection, documents)
        with self._connection.transaction():
            return self._documents.insert(collection, rows, tags)

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        with self._connection.transaction():
            return self._documents.put(collection, document, fence)

    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        with self._connection.transaction():
            self._documents.raise_between(collection, low, high, field, least)

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        with self._connection.transaction():
            self._documents.replace(collection, document)

    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]], document: StoredDocument
    ) -> bool:
        with self._connection.transaction():
            return self._documents.adopt(collection, id, expect, document)

    def mend(self, collection: Collection, id: object) -> bool:
        with self._connection.transaction():
            return self._documents.mend(collection, id)

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        with self._connection.transaction():
            return self._removals.remove(collection, id, expect)

    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None = None) -> int:
        with self._connection.transaction():
            return self._removals.remove_between(collection, low, high, unless)

    def remove_all(self, removals: Sequence[Removal]) -> int:
        with self._connection.transaction():
            return sum(self._removals.remove_with_records(removal) for removal in removals)

    def compact(self, wait: Callable[[], object]) -> Compaction:
        return compact(self._connection, self._reading, wait)
