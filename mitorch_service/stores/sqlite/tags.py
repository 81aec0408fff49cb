"""The tables of tags: a row for each tag of a training or job, by which they are found in their order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from mitorch_service.stores.requests import Collection

TAG_TABLES: Mapping[Collection, str] = {"trainings": "training_tags", "jobs": "job_tags"}

Rows = list[tuple[str, Any, Any]]  # tag, arrival, id


def tag_rows(collection: Collection, document: Mapping[str, Any]) -> Rows:
    """Returns the rows of a document; none for a collection without tags."""
    tags, arrival = document.get("tags"), document.get("arrival")
    if collection not in TAG_TABLES or not isinstance(tags, list):
        return []
    return [(tag, arrival, document["_id"]) for tag in tags if isinstance(tag, str)]


def add_tags(db: sqlite3.Connection, collection: Collection, rows: Iterable[tuple[str, Any, Any]]) -> None:
    """Adds those that are not there yet."""
    if collection in TAG_TABLES:
        db.executemany(f"INSERT OR IGNORE INTO {TAG_TABLES[collection]} VALUES (?, ?, ?)", rows)


def remove_tags(db: sqlite3.Connection, collection: Collection, rows: Iterable[tuple[str, Any, Any]]) -> None:
    """Removes those that are there."""
    if collection in TAG_TABLES:
        db.executemany(f"DELETE FROM {TAG_TABLES[collection]} WHERE tag = ? AND arrival = ? AND _id = ?", rows)
