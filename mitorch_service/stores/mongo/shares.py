"""The shares of trainings, added to the documents of versions that did not have them."""

from __future__ import annotations

from typing import Any

import pymongo
from pymongo.collection import Collection

from mitorch_service.models.fair_share.share import shares_of
from mitorch_service.models.status import OPEN, TrainingStatus

_BATCH = 1000
_MAY_WAIT = (*OPEN, TrainingStatus.PAUSED)  # what is retried gets them then


def add_shares(trainings: Collection[dict[str, Any]]) -> None:
    """Sets `shares` where it is missing, by which indexes find the next training of a user or team. Each is guarded by
    its tags."""
    for status in _MAY_WAIT:
        writes = []
        where = {"status": status.value, "shares": {"$exists": False}}
        for document in trainings.find(where, {"tags": 1, "submitted_by": 1}):
            tags = document.get("tags")
            texts = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
            who = document.get("submitted_by")
            shares = shares_of(texts, who if isinstance(who, str) else None)
            writes.append(pymongo.UpdateOne({"_id": document["_id"], "tags": tags}, {"$set": {"shares": shares}}))
            if len(writes) == _BATCH:
                trainings.bulk_write(writes, ordered=False)
                writes = []
        if writes:
            trainings.bulk_write(writes, ordered=False)
