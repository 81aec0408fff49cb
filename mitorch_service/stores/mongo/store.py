"""The store on MongoDB, or a service that speaks its protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any

from bson import ObjectId

from mitorch_service.stores.base import Store
from mitorch_service.stores.mongo.changes import MongoChanges
from mitorch_service.stores.mongo.clock import ServerClock
from mitorch_service.stores.mongo.connection import MongoConnection
from mitorch_service.stores.mongo.counts import StatusCounts
from mitorch_service.stores.mongo.indexes import INDEXES, indexes_of
from mitorch_service.stores.mongo.reading import MongoReading
from mitorch_service.stores.mongo.removals import MongoRemovals
from mitorch_service.stores.mongo.upgrade import VERSION, upgrade
from mitorch_service.stores.mongo.whole_documents import MongoDocuments
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Collection, Compaction, Guarded, Query, QueryPlan, Removal, StoredDocument


class MongoStore(Store):
    """The store in the database `name` of the server at `uri`. Raises StoreError for a `uri` that is none."""

    def __init__(self, uri: str, name: str) -> None:
        super().__init__(MongoDatabase(uri, name))


class MongoDatabase(Primitives):
    """One database: its collections, and `counters`, in which the trainings are counted by status."""

    def __init__(self, uri: str, name: str) -> None:
        self._connection = MongoConnection(uri, name)
        self._trainings = self._connection.db["trainings"]
        self._counts = StatusCounts(self._trainings, self._connection.db["counters"])
        self._clock = ServerClock(self._connection.hello)
        self._reading = MongoReading(self._connection)
        self._changes = MongoChanges(self._connection, self._counts)
        self._documents = MongoDocuments(self._connection, self._counts)
        self._removals = MongoRemovals(self._connection, self._counts)
        self._prepared = False

    def prepare(self) -> None:
        if self._prepared:
            return
        for collection, keys in INDEXES.items():
            if keys:
                create = partial(self._connection.db[collection].create_indexes, indexes_of(collection))
                self._connection.call(create)
        if self._connection.call(self._counts.begin) < VERSION:
            self._connection.call(lambda: upgrade(self._trainings, self._counts))
        self._prepared = True

    def ping(self) -> str:
        version = self._connection.call(lambda: self._connection.ask_server("buildInfo"))["version"]
        return f"MongoDB {version}, {self._connection.where}"

    def now(self) -> datetime:
        return self._clock.now()

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        return self._connection.time_limit(seconds)

    def check_writes(self) -> None:
        self._connection.call(self._counts.touch)

    def close(self) -> None:
        self._connection.close()

    def keys_of(self, text: str) -> tuple[object, ...]:
        return (text, ObjectId(text)) if ObjectId.is_valid(text) else (text,)

    def find(self, query: Query) -> Iterator[dict[str, Any]]:
        yield from self._reading.find(query)

    def scan(self, collection: Collection) -> Iterator[dict[str, Any]]:
        return self._reading.scan(collection)

    def count(self, query: Query) -> int:
        return self._reading.count(query)

    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        if job_id is None:
            return self._connection.call(self._counts.read)
        return self._reading.count_statuses_of(job_id)

    def explain(self, query: Query) -> QueryPlan:
        return self._reading.explain(query)

    def change(self, change: Guarded) -> dict[str, Any] | None:
        return self._changes.change(change)

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        return self._changes.change_all(changes)

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        return self._documents.insert(collection, documents)

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        return self._documents.put(collection, document, fence)

    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        self._documents.raise_between(collection, low, high, field, least)

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        self._documents.replace(collection, document)

    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]], document: StoredDocument
    ) -> bool:
        return self._documents.adopt(collection, id, expect, document)

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        return self._removals.remove(collection, id, expect)

    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None = None) -> int:
        return self._removals.remove_between(collection, low, high, unless)

    def remove_all(self, removals: Sequence[Removal]) -> int:
        return self._removals.remove_all(removals)

    def compact(self, wait: Callable[[], object]) -> Compaction:
        self._connection.call(self._counts.correct)
        return Compaction(0, "MongoDB keeps the space of deleted documents for new ones by itself")
