"""The indexes of each collection: no query of the store goes without one."""

from __future__ import annotations

import pymongo

from mitorch_service.stores.requests import Collection

INDEXES: dict[Collection, list[list[tuple[str, int]]]] = {
    "trainings": [
        [("status", 1), ("priority", 1), ("arrival", 1), ("_id", 1)],
        [
            *(("status", 1), ("dataset.name", 1), ("dataset.version", 1)),
            *(("priority", 1), ("arrival", 1), ("_id", 1)),
        ],
        [("status", 1), ("shares.user", 1), ("priority", 1), ("arrival", 1), ("_id", 1)],
        [("status", 1), ("shares.team", 1), ("priority", 1), ("arrival", 1), ("_id", 1)],
        [("arrival", -1), ("_id", -1)],
        [("status", 1), ("arrival", -1), ("_id", -1)],
        [("job_id", 1), ("arrival", -1), ("_id", -1)],
        [("job_id", 1), ("status", 1)],
        [("job_id", 1), ("trial.value", 1), ("_id", 1)],
        [("dataset.name", 1), ("arrival", -1), ("_id", -1)],
        [("tags", 1), ("arrival", -1), ("_id", -1)],
        [("name", 1), ("arrival", 1), ("_id", 1)],
        [("created_at", 1), ("arrival", 1), ("_id", 1)],
        [("ended_at", 1), ("arrival", 1), ("_id", 1)],
    ],
    "jobs": [
        [("status", 1), ("priority", 1), ("arrival", 1)],
        [("arrival", -1), ("_id", -1)],
        [("tags", 1), ("arrival", -1), ("_id", -1)],
        [("name", 1), ("arrival", -1), ("_id", -1)],
    ],
    "datasets": [[("name", 1), ("version", -1)]],
    "training_results": [],
    "controllers": [],
    "notifications": [[("webhook", 1), ("state", 1), ("due", 1), ("_id", 1)]],
    "callbacks": [[("due", 1), ("_id", 1)]],
    "views": [],
    "rungs": [
        [("job_id", 1), ("bracket", 1), ("epochs", 1), ("loss", 1), ("_id", 1)],
        [("job_id", 1), ("bracket", 1), ("paused", 1), ("epochs", 1), ("loss", 1), ("_id", 1)],
    ],
}

# Indexed where a document has them.
SPARSE: dict[Collection, list[str]] = {
    "trainings": ["trial.unmerged", "announce_end"],
    "jobs": ["announce_end", "recount_due"],
}


def indexes_of(collection: Collection) -> list[pymongo.IndexModel]:
    models = [pymongo.IndexModel(key) for key in INDEXES[collection]]
    return models + [pymongo.IndexModel([(path, 1)], sparse=True) for path in SPARSE.get(collection, ())]
