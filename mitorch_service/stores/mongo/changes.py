"""Guarded changes of documents in MongoDB: one at a time, and many in one bulk write."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import pymongo
from pymongo import errors

from mitorch_service.errors import StoreError, StoreUnavailable
from mitorch_service.models.schema_versions import SCHEMA, older_versions
from mitorch_service.stores.document_paths import set_at
from mitorch_service.stores.mongo.connection import MongoConnection
from mitorch_service.stores.mongo.counts import StatusCounts
from mitorch_service.stores.mongo.errors import passes
from mitorch_service.stores.mongo.query import guard
from mitorch_service.stores.mongo.schema_guards import current, upgrade_with
from mitorch_service.stores.requests import Guarded

_BULK = 1000
_TRIES = 3  # when an older document is changed by others at that moment


class MongoChanges:
    """The changes, each of which is counted by the status that it sets."""

    def __init__(self, connection: MongoConnection, counts: StatusCounts) -> None:
        self._connection, self._counts = connection, counts

    def change(self, change: Guarded) -> dict[str, Any] | None:
        document = self._change_current(change)
        if not older_versions(change.collection):
            return document
        for _ in range(_TRIES if document is None else 0):
            if not self._older_among([change], ()):
                break
            document = self._change_older(change) or self._change_current(change)
            if document is not None:
                break
        return document

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        """Marks each change: a bulk write returns how many changes were made, not which."""
        mark = str(uuid.uuid4())
        made: list[bool] = []
        for group in _groups(changes):
            made += self._change_group(group, mark)
        return made

    def _change_current(self, change: Guarded) -> dict[str, Any] | None:
        tries = 0

        def update() -> dict[str, Any] | None:
            nonlocal tries
            tries += 1
            return self._connection.db[change.collection].find_one_and_update(
                guard(change.id, current(change)), {"$set": dict(change.set)}, projection={"config": 0}
            )

        document = self._connection.call(update)
        if document is None:
            return None if tries == 1 else self._made_before(change)
        if change.collection == "trainings" and "status" in change.set:
            self._counts.move([(document["status"], str(change.set["status"]))])
        for path, value in change.set.items():
            set_at(document, path, value)
        return document

    def _change_older(self, change: Guarded) -> dict[str, Any] | None:
        """Makes the change of a document of an earlier form, which is brought up to date in the same step; None if a
        guard refused, or others have changed it meanwhile."""
        call = self._connection.call
        where = guard(change.id, {SCHEMA: older_versions(change.collection)})
        collection, tries = self._connection.db[change.collection], 0
        stored: dict[str, Any] | None = call(lambda: collection.find_one(where, {"config": 0}))
        upgrading = None if stored is None else call(lambda: upgrade_with(stored, change))
        if stored is None or upgrading is None:
            return None

        def update() -> int:
            nonlocal tries
            tries += 1
            return collection.update_one(upgrading.where, upgrading.update).matched_count

        if not call(update):
            return None if tries == 1 else self._made_before(change)
        if change.collection == "trainings" and stored.get("status") != upgrading.after.get("status"):
            self._counts.move([(str(stored.get("status")), str(upgrading.after["status"]))])
        return upgrading.after

    def _made_before(self, change: Guarded) -> dict[str, Any] | None:
        """The document, if an earlier try of ours has made the change and only its answer was lost: then the guard
        refuses the repetition. (A server that is no replica set has no retryable writes.) A change that somebody else
        has made in the same millisecond with all the same values counts as ours."""
        kept = {path: values for path, values in change.expect.items() if path not in change.set}
        made = guard(change.id, {**kept, **{path: (value,) for path, value in change.set.items()}})
        collection = self._connection.db[change.collection]
        document: dict[str, Any] | None = self._connection.call(lambda: collection.find_one(made, {"config": 0}))
        before = change.expect.get("status", ())
        if document is not None and change.collection == "trainings" and "status" in change.set and len(before) == 1:
            self._counts.move([(str(before[0]), str(change.set["status"]))])
        return document

    def _change_group(self, group: Sequence[Guarded], mark: str) -> list[bool]:
        collection = self._connection.db[group[0].collection]
        if any("status" in change.set and len(change.expect["status"]) > 1 for change in group):
            return [self.change(change) is not None for change in group]  # returns the status before
        writes = [
            pymongo.UpdateOne(guard(change.id, current(change)), {"$set": {**change.set, "write_mark": mark}})
            for change in group
        ]
        self._connection.call(partial(_write_each, collection, writes))
        marked = {"_id": {"$in": [change.id for change in group]}, "write_mark": mark}
        found = self._connection.call(lambda: {document["_id"] for document in collection.find(marked, {"_id": 1})})
        older = self._older_among(group, found)
        made = [change.id in found or self._is_changed(change, older) for change in group]
        ours = [change for change in group if change.id in found and "status" in change.set]
        self._counts.move([(str(change.expect["status"][0]), str(change.set["status"])) for change in ours])
        return made

    def _older_among(self, changes: Sequence[Guarded], made: Container[object]) -> set[object]:
        """Returns the documents of an earlier form among those whose change was not made."""
        refused = [change.id for change in changes if change.id not in made]
        if not refused or not (older := older_versions(changes[0].collection)):
            return set()
        where = {"_id": {"$in": refused}, SCHEMA: {"$in": list(older)}}
        collection = self._connection.db[changes[0].collection]
        return self._connection.call(lambda: {one["_id"] for one in collection.find(where, {"_id": 1})})

    def _is_changed(self, change: Guarded, older: Container[object]) -> bool:
        try:
            return change.id in older and self.change(change) is not None
        except StoreUnavailable:
            raise
        except StoreError:  # a damaged document cannot be changed so, and does not stop the others
            return False


def _groups(changes: Sequence[Guarded]) -> Iterator[Sequence[Guarded]]:
    """Consecutive changes of one collection, at most as many as one answer can name."""
    for _, run in groupby(changes, key=lambda change: change.collection):
        same = list(run)
        yield from (same[start : start + _BULK] for start in range(0, len(same), _BULK))


def _write_each(collection: Any, writes: Sequence[Any]) -> None:
    """Makes each write: one that the server refuses (a damaged document cannot be changed so) does not stop the
    others. Raises where another try may succeed."""
    try:
        collection.bulk_write(writes, ordered=False)
    except errors.BulkWriteError as error:
        refused = [one for one in error.details["writeErrors"] if passes([one])]
        if error.details.get("writeConcernErrors") or refused:
            raise
