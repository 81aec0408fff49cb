"""The floor of a page: the raw driver reads the documents that the page shows, and decodes them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pymongo

from tests.benchmarks.filling import Database
from tests.benchmarks.viewer_filling import JOB


@dataclass(frozen=True)
class Read:
    """A query that an index answers."""

    collection: str
    where: Mapping[str, str] = field(default_factory=dict)
    order: Sequence[tuple[str, int]] = ()
    limit: int = 20_000
    between: tuple[str, str] | None = None  # of ids


class Driver(Protocol):
    """A driver, without anything of ours."""

    def read(self, what: Read) -> int:
        """Returns the number of documents that were read."""

    def close(self) -> None: ...


NEWEST = (("arrival", -1), ("_id", -1))
_WAITING = Read("trainings", {"status": "new"}, (("priority", 1), ("arrival", 1)), 50)
QUEUE = (
    Read("trainings", {"status": "running"}),
    _WAITING,
    Read("trainings", {"status": "completed"}, NEWEST, 50),
)
TABLE = (Read("trainings", {}, NEWEST, 50),)
FAILED = (Read("trainings", {"status": "failed"}, NEWEST, 50),)
JOBS = (Read("jobs", {}, NEWEST, 50),)
JOB_READS = (Read("jobs", {"_id": JOB}), Read("trainings", {"job_id": JOB}))
DATASETS = (Read("datasets"),)


def rows_of(ids: Sequence[str]) -> list[Read]:
    """The reads of trainings."""
    return [Read("trainings", {"_id": id}) for id in ids]


def curves_of(ids: Sequence[str]) -> list[Read]:
    """The reads of trainings and their epochs."""
    return rows_of(ids) + [Read("training_results", between=(f"{id}:", f"{id};")) for id in ids]


def open_driver(database: Database) -> Driver:
    """Returns the driver on a database."""
    return _Mongo(database) if database.kind == "mongo" else _Sqlite(database)


class _Sqlite:
    def __init__(self, database: Database) -> None:
        self._db = sqlite3.connect(database.where)

    def read(self, what: Read) -> int:
        parts, values = [f"{name} = ?" for name in what.where], list(what.where.values())
        if what.between:
            parts.append("_id >= ? AND _id < ?")
            values += what.between
        where = f"WHERE {' AND '.join(parts)}" if parts else ""
        order = ", ".join(f"{name} {'ASC' if sign > 0 else 'DESC'}" for name, sign in what.order)
        by = f"ORDER BY {order}" if order else ""
        sql = f"SELECT body FROM {what.collection} {where} {by} LIMIT {what.limit}"
        return len([json.loads(body) for (body,) in self._db.execute(sql, values)])

    def close(self) -> None:
        self._db.close()


class _Mongo:
    def __init__(self, database: Database) -> None:
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(database.where, tz_aware=True)
        self._db = self._client[database.name]

    def read(self, what: Read) -> int:
        where: dict[str, Any] = dict(what.where)
        if what.between:
            where["_id"] = {"$gte": what.between[0], "$lt": what.between[1]}
        found = self._db[what.collection].find(where, limit=what.limit)
        return len(list(found.sort(list(what.order)) if what.order else found))

    def close(self) -> None:
        self._client.close()
