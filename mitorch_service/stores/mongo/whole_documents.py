"""Adds whole documents to MongoDB, or puts them in the place of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import errors

from mitorch_service.stores.mongo.connection import MongoConnection
from mitorch_service.stores.mongo.counts import StatusCounts
from mitorch_service.stores.mongo.query import guard
from mitorch_service.stores.requests import Collection, StoredDocument

_DUPLICATE_KEY = 11000


class MongoDocuments:
    """The writes of whole documents, each of which is counted by its status."""

    def __init__(self, connection: MongoConnection, counts: StatusCounts) -> None:
        self._connection, self._counts = connection, counts

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        documents = list(documents)
        waiting, present = dict(enumerate(documents)), set[int]()
        self._connection.call(lambda: self._insert_absent(collection, waiting, present))
        if collection == "trainings":
            added = Counter(d["status"] for number, d in enumerate(documents) if number not in present)
            self._counts.add(added, wait=len(documents) > 1)  # of one it would double the time
            if present and len(documents) > 1:  # whoever added these may have died before they were counted
                self._connection.call(self._counts.correct)
        return len(documents) - len(present)

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        fields = {name: value for name, value in document.items() if name != "_id"}
        unless_newer = {"_id": document["_id"], fence: {"$lte": document[fence]}}

        def upsert() -> bool:
            for _ in range(2):  # once more, when another writer has inserted the document between look and insert
                try:
                    self._connection.db[collection].update_one(unless_newer, {"$set": fields}, upsert=True)
                    return True
                except errors.DuplicateKeyError:
                    continue
            return False

        return self._connection.call(upsert)

    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        where = {"_id": {"$gte": low, "$lt": high}, field: {"$not": {"$gte": least}}}
        self._connection.call(lambda: self._connection.db[collection].update_many(where, {"$set": {field: least}}))

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        where, status, stored = {"_id": document["_id"]}, {"status": 1}, self._connection.db[collection]
        before = self._connection.call(
            lambda: stored.find_one_and_replace(where, dict(document), projection=status, upsert=True)
        )
        if collection == "trainings":
            self._counts.move([("" if before is None else str(before.get("status")), str(document["status"]))])

    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]], document: StoredDocument
    ) -> bool:
        call, foreign, where = self._connection.call, self._connection.db[collection], guard(id, expect)
        if document["_id"] == id:
            fields = {name: value for name, value in document.items() if name != "_id"}
            found = call(lambda: foreign.find_one_and_update(where, {"$set": fields}, projection={"status": 1}))
        else:
            if call(lambda: foreign.find_one(where, {"status": 1})) is None:
                return False
            waiting: dict[int, Mapping[str, Any]] = {0: document}
            call(lambda: self._insert_absent(collection, waiting, set()))
            found = call(lambda: foreign.find_one_and_delete(where, projection={"status": 1}))
        if found is not None and collection == "trainings":
            self._counts.add({str(document["status"]): 1})
        return found is not None

    def _insert_absent(self, collection: Collection, waiting: dict[int, Mapping[str, Any]], present: set[int]) -> None:
        """Adds the documents that wait, by number, and takes out those that are dealt with, so that a repeat adds the
        others. `present` gets the numbers of those that were there already."""
        numbers = list(waiting)
        if not numbers:
            return
        try:
            self._connection.db[collection].insert_many([dict(waiting[number]) for number in numbers], ordered=False)
            waiting.clear()
        except errors.BulkWriteError as error:
            failed = {numbers[e["index"]]: e["code"] for e in error.details["writeErrors"]}
            present |= {number for number, code in failed.items() if code == _DUPLICATE_KEY}
            if error.details.get("writeConcernErrors"):
                raise  # added, but perhaps not to stay
            for number in numbers:
                if failed.get(number, _DUPLICATE_KEY) == _DUPLICATE_KEY:
                    del waiting[number]
            if waiting:
                raise
