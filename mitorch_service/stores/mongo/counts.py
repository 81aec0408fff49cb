"""How many trainings are in each status, kept beside them: counting a million of them takes MongoDB a third of a
second or more."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pymongo import WriteConcern, errors
from pymongo.collection import Collection

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.mongo.errors import asked_wait, was_not_done
from mitorch_service.stores.patience import repeatedly

_STATUSES = tuple(status.value for status in TrainingStatus)
_EXACT = 100  # a status with no more trainings than this is counted in the documents themselves
_SLOTS = 8  # documents over which the writers spread, so that they seldom wait for each other
_FIRST = "first count"
_PATIENCE_SECONDS = 10.0  # for a database that is overloaded
_SETTLING = 0.3  # seconds; between a change and its count lies a millisecond

log = logging.getLogger("mitorch")


class StatusCounts:
    """Each change of a status is followed by an `$inc` here. There are no transactions: a process that dies between the
    two leaves the counts off by what it wrote, until `correct`. So they are trusted only where they are large; what is
    few (and whether there is any at all) is counted exactly, in a bounded part of an index."""

    def __init__(self, trainings: Collection[dict[str, Any]], counters: Collection[dict[str, Any]]) -> None:
        self._trainings, self._counters = trainings, counters
        self._unacknowledged = counters.with_options(write_concern=WriteConcern(w=0))
        self._slot = f"slot {random.randrange(_SLOTS)}"

    def begin(self) -> int:
        """Counts the trainings of an earlier version, once, however many processes begin at the same time. Returns the
        version of the documents."""
        first = self._counters.find_one({"_id": _FIRST}, {"version": 1})
        if first is None:
            with suppress(errors.DuplicateKeyError):
                self._counters.insert_one({"_id": _FIRST, "n": dict(self._scan())})
        version = (first or {}).get("version", 0)
        return version if isinstance(version, int) else 0

    def set_version(self, version: int) -> None:
        """Notes that the documents are up to date."""
        self._counters.update_one({"_id": _FIRST}, {"$set": {"version": version}})

    def touch(self) -> None:
        """Writes without changing a count."""
        self._counters.update_one({"_id": _FIRST}, {"$inc": {"checks": 1}})

    def read(self) -> dict[str, int]:
        """Returns the counts by status, without those of zero. Two requests."""
        counts = dict(self._kept())
        few = [status for status in _STATUSES if counts.get(status, 0) <= _EXACT]
        if few:
            bound = 2 * _EXACT * len(few)
            groups = self._trainings.aggregate(
                [
                    {"$match": {"status": {"$in": few}}},
                    {"$limit": bound},
                    {"$group": {"_id": "$status", "n": {"$sum": 1}}},
                ]
            )
            found = {group["_id"]: group["n"] for group in groups}
            if sum(found.values()) < bound:  # else what was kept is far off, and so is this
                counts.update({status: found.get(status, 0) for status in few})
        return {status: number for status in _STATUSES if (number := counts.get(status, 0)) > 0}

    def add(self, changes: Mapping[str, int], wait: bool = True) -> None:
        """Adds to the counts. The changes that it follows are made, so a failure here is logged and raises nothing;
        without `wait` it goes unnoticed."""
        increments = {f"n.{status}": number for status, number in changes.items() if number and status in _STATUSES}
        if not increments:
            return
        counters = self._counters if wait else self._unacknowledged

        def increase() -> None:
            try:
                counters.update_one({"_id": self._slot}, {"$inc": increments}, upsert=True)
            except errors.DuplicateKeyError:  # another process has just made the slot
                counters.update_one({"_id": self._slot}, {"$inc": increments})

        try:
            repeatedly(increase, lambda error: asked_wait(error) if was_not_done(error) else None, _PATIENCE_SECONDS)
        except errors.PyMongoError as error:
            log.warning("the counts by status are off until the next prune: %s", type(error).__name__)

    def move(self, moves: Iterable[tuple[str, str]]) -> None:
        """Adds trainings that went from one status to another: (before, after) of each."""
        changes: Counter[str] = Counter()
        for before, after in moves:
            changes[before] -= 1
            changes[after] += 1
        self.add(changes)

    def correct(self) -> None:
        """Counts every document, and corrects what is wrong for longer than a change takes to be counted. Linear in the
        number of trainings: a third of a second for a million."""
        wrong = self._wrong()
        if wrong:
            time.sleep(_SETTLING)
            still = self._wrong()
            self.add({status: number for status, number in wrong.items() if still.get(status) == number})

    def _wrong(self) -> dict[str, int]:
        """The differences to what was kept before and after counting: what has changed meanwhile is no error."""
        before, actual, after = self._kept(), self._scan(), self._kept()
        wrong = {}
        for status in _STATUSES:
            low, high = sorted((before[status], after[status]))
            if not low <= actual[status] <= high:
                wrong[status] = actual[status] - after[status]
        return wrong

    def _kept(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for document in self._counters.find({"n": {"$type": "object"}}):
            counts.update({status: n for status, n in document["n"].items() if isinstance(n, int)})
        return counts

    def _scan(self) -> Counter[str]:
        return Counter({status: self._trainings.count_documents({"status": status}) for status in _STATUSES})
