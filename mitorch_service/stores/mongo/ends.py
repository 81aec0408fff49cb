"""The times at which trainings ended, added to the documents of versions that did not keep them apart."""

from __future__ import annotations

from typing import Any

import pymongo
from pymongo.collection import Collection

from mitorch_service.models.status import ENDED

_BATCH = 1000


def add_ends(trainings: Collection[dict[str, Any]]) -> None:
    """Sets `ended_at` where it is missing, by which an index orders what has ended. Each is guarded by its status."""
    for status in ENDED:
        where = {"status": status.value, "ended_at": {"$exists": False}}
        writes = []
        for document in trainings.find(where, {"status_times": 1}):
            times = document.get("status_times")
            ended = times.get(status.value) if isinstance(times, dict) else None
            if ended is not None:
                writes.append(pymongo.UpdateOne({"_id": document["_id"], **where}, {"$set": {"ended_at": ended}}))
            if len(writes) == _BATCH:
                trainings.bulk_write(writes, ordered=False)
                writes = []
        if writes:
            trainings.bulk_write(writes, ordered=False)
