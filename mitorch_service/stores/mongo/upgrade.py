"""Brings the documents of earlier versions up to date, once for a database."""

from __future__ import annotations

from typing import Any

from pymongo.collection import Collection

from mitorch_service.stores.mongo.counts import StatusCounts
from mitorch_service.stores.mongo.ends import add_ends
from mitorch_service.stores.mongo.shares import add_shares

VERSION = 3  # of what the documents hold


def upgrade(trainings: Collection[dict[str, Any]], counts: StatusCounts) -> None:
    """Stores paused trials as paused that were stored as pruned: a filter finds what is shown; and adds the times of
    ends, and the shares of what may still wait, by which indexes order. Whoever dies in between leaves the rest to the
    next one."""
    paused = {"status": "pruned", "$or": [{"trial.pause_at": {"$ne": None}}, {"trial.until": {"$ne": None}}]}
    times = {"status_times.pruned": "status_times.paused"}
    changed = trainings.update_many(paused, {"$set": {"status": "paused"}, "$rename": times}).modified_count
    counts.add({"pruned": -changed, "paused": changed})
    add_ends(trainings)
    add_shares(trainings)
    counts.set_version(VERSION)
