"""Deletes documents of a MongoDB database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import pymongo
from pymongo import errors

from mitorch_service.stores.mongo.connection import MongoConnection
from mitorch_service.stores.mongo.counts import StatusCounts
from mitorch_service.stores.mongo.query import guard
from mitorch_service.stores.mongo.schema_guards import known
from mitorch_service.stores.requests import Collection, Removal


class MongoRemovals:
    """The deletions, each of which is counted by the status that the document had."""

    def __init__(self, connection: MongoConnection, counts: StatusCounts) -> None:
        self._connection, self._counts = connection, counts

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        stored, where = self._connection.db[collection], guard(id, {**expect, **known(collection)})
        tries = 0

        def delete() -> dict[str, Any] | None:
            nonlocal tries
            tries += 1
            return stored.find_one_and_delete(where, projection={"status": 1})

        document = self._connection.call(delete)
        if document is not None and collection == "trainings":
            self._counts.add({str(document.get("status")): -1})
        if document is None and tries > 1:  # an earlier try has deleted it, and its answer was lost
            return self._connection.call(lambda: stored.find_one({"_id": id}, {"_id": 1})) is None
        return document is not None

    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None = None) -> int:
        where: dict[str, Any] = {"_id": {"$gte": low, "$lt": high}}
        if unless is not None:
            where[unless[0]] = {"$not": {"$gte": unless[1]}}
        return self._connection.call(lambda: self._connection.db[collection].delete_many(where)).deleted_count

    def remove_all(self, removals: Sequence[Removal]) -> int:
        for records, group in groupby((removal.records for removal in removals), key=lambda records: records[0]):
            ranges = [pymongo.DeleteMany({"_id": {"$gte": low, "$lt": high}}) for _, low, high in group]
            self._connection.call(partial(self._connection.db[records].bulk_write, ranges, ordered=False))
        removed = 0
        for (collection, status), same in groupby(removals, key=lambda removal: (removal.collection, removal.status)):
            deletes = [
                pymongo.DeleteOne(guard(removal.id, {**removal.expect, **known(collection)})) for removal in same
            ]
            gone = self._delete_each(collection, deletes)
            self._counts.add({status: -gone} if collection == "trainings" else {})
            removed += gone
        return removed

    def _delete_each(self, collection: Collection, deletes: Sequence[pymongo.DeleteOne]) -> int:
        """Returns how many were deleted, in all tries together."""
        gone = 0

        def delete() -> None:
            nonlocal gone
            try:
                gone += self._connection.db[collection].bulk_write(deletes, ordered=False).deleted_count
            except errors.BulkWriteError as error:
                gone += error.details["nRemoved"]
                raise

        self._connection.call(delete)
        return gone
