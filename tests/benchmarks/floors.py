"""The floors for the benchmarks of the stores: the raw drivers, doing the least that each task needs."""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import pymongo

from mitorch_service.models.base import new_id
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import next_arrival
from tests.benchmarks.filling import Database
from tests.benchmarks.measuring import (
    timed,
)

_ARRIVAL_DIGITS = 16


class Floor(ABC):
    """The raw driver doing the least that each job needs, on the database that a store has filled."""

    @abstractmethod
    def copies(self, id: str, count: int) -> list[Any]:
        """Returns this training's documents from the store, copied for `count` others, ready to add."""

    @abstractmethod
    def add_one(self, copies: Sequence[Any]) -> None:
        """Each with a commit of its own."""

    @abstractmethod
    def add_many(self, copies: Sequence[Any]) -> None:
        """All at once."""

    @abstractmethod
    def forget(self, ids: Sequence[str]) -> None:
        """Deletes trainings that were added."""

    @abstractmethod
    def assign(self, count: int, writes: int = 1) -> float:
        """Finds the head of the queue and changes it, guarded, in `writes` batches; returns the seconds of that, and
        puts it back."""

    @abstractmethod
    def record(self, id: str, epoch: int) -> None:
        """One training changed under its guard, one result written."""

    @abstractmethod
    def newest(self, path: str | None, value: str | None, after: tuple[int, str] | None = None) -> list[Any]:
        """The 100 newest, without their configs."""

    @abstractmethod
    def key_at(self, depth: int) -> tuple[int, str]:
        """The (arrival, id) of the training that so many are newer than."""

    @abstractmethod
    def count(self) -> list[Any]:
        """Counts by status, kept ready-made."""

    @abstractmethod
    def curve(self, id: str) -> list[Any]:
        """All results of a training."""

    @abstractmethod
    def one(self, id: str) -> Any:
        """The whole document."""

    @abstractmethod
    def prefix(self, text: str) -> list[Any]:
        """Ids of trainings and jobs that begin so."""

    @abstractmethod
    def observe(self) -> list[Any]:
        """The first of the queue, and what is active."""

    @abstractmethod
    def close(self) -> None: ...


class SqliteFloor(Floor):
    def __init__(self, database: Database) -> None:
        self._db = sqlite3.connect(database.where, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS floor_counts (status TEXT PRIMARY KEY, number INTEGER)")
        rows = [(status.value, 1) for status in TrainingStatus]
        self._db.executemany("INSERT OR IGNORE INTO floor_counts VALUES (?, ?)", rows)
        self._bodies: dict[str, tuple[str, str]] = {}

    def copies(self, id: str, count: int) -> list[Any]:
        rows = list(self._rows_of(id))
        arrival = str(self._db.execute("SELECT arrival FROM trainings WHERE _id = ?", (id,)).fetchone()[0])
        made = []
        for _ in range(count):
            new, came = new_id(), next_arrival()

            def swap(value: Any, new: str = new, came: int = came) -> Any:
                if isinstance(value, str):
                    return value.replace(id, new).replace(arrival, str(came))
                return came if value == int(arrival) else value

            made.append([(sql, tuple(map(swap, values))) for sql, values in rows])
        return made

    def add_one(self, copies: Sequence[Any]) -> None:
        for copy in copies:
            self._db.execute("BEGIN IMMEDIATE")
            for sql, values in copy:
                self._db.execute(sql, values)
            self._db.execute("COMMIT")

    def add_many(self, copies: Sequence[Any]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for index, (sql, _) in enumerate(copies[0]):
            self._db.executemany(sql, [copy[index][1] for copy in copies])
        self._db.execute("COMMIT")

    def forget(self, ids: Sequence[str]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for table in self._tables():
            self._db.executemany(f"DELETE FROM {table} WHERE _id = ?", [(id,) for id in ids])
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def assign(self, count: int, writes: int = 1) -> float:
        head = (
            "SELECT _id FROM trainings WHERE status = 'new' ORDER BY priority, arrival, _id LIMIT ?",
            (count,),
        )
        bodies = {id: self.one(id) for (id,) in self._db.execute(*head).fetchall()}
        after = {id: json.dumps({**body, "status": "queued"}) for id, body in bodies.items()}
        sql = "UPDATE trainings SET status = ?, body = ? WHERE _id = ? AND status = ?"

        def write() -> None:
            ids = [id for (id,) in self._db.execute(*head)]
            for part in range(writes):
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(sql, [("queued", after[id], id, "queued" if part else "new") for id in ids])
                self._db.execute("COMMIT")

        seconds = timed(write)
        back = [("new", json.dumps(body), id, "queued") for id, body in bodies.items()]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(sql, back)
        self._db.execute("COMMIT")
        return seconds

    def record(self, id: str, epoch: int) -> None:
        if id not in self._bodies:
            body = self._db.execute("SELECT body FROM trainings WHERE _id = ?", (id,)).fetchone()[0]
            result = self._db.execute("SELECT body FROM training_results LIMIT 1").fetchone()[0]
            self._bodies[id] = (body, result)
        body, result = self._bodies[id]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("UPDATE trainings SET body = ? WHERE _id = ? AND status = 'running'", (body, id))
        self._db.execute(
            "INSERT OR REPLACE INTO training_results (_id, body) VALUES (?, ?)", (f"{id}:{epoch:06d}", result)
        )
        self._db.execute("COMMIT")

    def newest(self, path: str | None, value: str | None, after: tuple[int, str] | None = None) -> list[Any]:
        columns = {"status": "status", "job_id": "job_id", "dataset.name": "dataset_name"}
        source, order, where = "trainings", "arrival DESC, _id DESC", ""
        if path == "tags":
            source = "training_tags CROSS JOIN trainings USING (_id)"
            order, where = "training_tags.arrival DESC, training_tags._id DESC", "WHERE tag = ?"
        elif path is not None:
            where = f"WHERE {columns[path]} = ?"
        values: list[Any] = [] if value is None else [value]
        if after is not None:
            where = "WHERE (arrival, _id) < (?, ?)"
            values += after
        return self._decoded(f"SELECT body FROM {source} {where} ORDER BY {order} LIMIT 100", values)

    def key_at(self, depth: int) -> tuple[int, str]:
        sql = "SELECT arrival, _id FROM trainings ORDER BY arrival DESC, _id DESC LIMIT 1 OFFSET ?"
        arrival, id = self._db.execute(sql, (depth,)).fetchone()
        return arrival, id

    def count(self) -> list[Any]:
        return self._db.execute("SELECT status, number FROM floor_counts").fetchall()

    def curve(self, id: str) -> list[Any]:
        sql = "SELECT body FROM training_results WHERE _id >= ? AND _id < ? ORDER BY _id"
        return self._decoded(sql, (f"{id}:", f"{id};"))

    def one(self, id: str) -> Any:
        sql = "SELECT body, config FROM trainings WHERE _id = ?"
        body, _ = map(json.loads, self._db.execute(sql, (id,)).fetchone())
        return body

    def prefix(self, text: str) -> list[Any]:
        found = []
        for table in ("trainings", "jobs"):
            sql = f"SELECT _id FROM {table} WHERE _id >= ? AND _id < ? LIMIT 5"
            found += self._db.execute(sql, (text, text + "g")).fetchall()
        return found

    def observe(self) -> list[Any]:
        head = "SELECT body FROM trainings WHERE status = 'new' ORDER BY priority, arrival, _id LIMIT 1"
        active = "SELECT body FROM trainings WHERE status IN ('queued', 'running')"
        return self._decoded(head, ()) + self._decoded(active, ())

    def close(self) -> None:
        self._db.close()

    def _decoded(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return [json.loads(body) for (body,) in self._db.execute(sql, values)]

    def _rows_of(self, id: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for table in self._tables():
            names = [row[1] for row in self._db.execute(f"PRAGMA table_info({table})")]
            marks = ", ".join("?" * len(names))
            for row in self._db.execute(f"SELECT {', '.join(names)} FROM {table} WHERE _id = ?", (id,)):
                yield f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})", row

    def _tables(self) -> list[str]:
        """Returns the tables with a row per training."""
        tables = [name for (name,) in self._db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        own = [t for t in tables if "_id" in [row[1] for row in self._db.execute(f"PRAGMA table_info({t})")]]
        return ["trainings", *(t for t in own if t not in ("trainings", "jobs", "datasets", "training_results"))]


class MongoFloor(Floor):
    """The queue is a collection of its own, whose key sorts: the fastest way that this engine offers."""

    _PLAIN = {"config": 0, "error": 0, "attempts": 0}

    def __init__(self, database: Database) -> None:
        self._client = pymongo.MongoClient[dict[str, Any]](database.where, tz_aware=True)
        self._db = self._client[database.name]
        self._trainings, self._results = self._db["trainings"], self._db["training_results"]
        if not self._db["floor_counts"].find_one():
            self._db["floor_counts"].insert_many([{"_id": s.value, "number": 1} for s in TrainingStatus])
        self._shapes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def copies(self, id: str, count: int) -> list[Any]:
        found = self._trainings.find_one({"_id": id})
        assert found is not None
        return [{**found, "_id": new_id(), "arrival": next_arrival()} for _ in range(count)]

    def add_one(self, copies: Sequence[Any]) -> None:
        for copy in copies:
            self._trainings.insert_one(copy)

    def add_many(self, copies: Sequence[Any]) -> None:
        self._trainings.insert_many(copies, ordered=False)

    def forget(self, ids: Sequence[str]) -> None:
        for name in self._db.list_collection_names():
            self._db[name].delete_many({"_id": {"$in": list(ids)}})

    def assign(self, count: int, writes: int = 1) -> float:
        queue = self._db["floor_queue"]
        if not queue.find_one():
            self._fill_queue()

        def write() -> None:
            head = list(queue.find().sort("_id").limit(count))
            for part in range(writes):
                status = "queued" if part else "new"
                changes = [
                    pymongo.UpdateOne({"_id": key["training"], "status": status}, {"$set": {"status": "queued"}})
                    for key in head
                ]
                self._trainings.bulk_write(changes, ordered=False)
            queue.delete_many({"_id": {"$in": [key["_id"] for key in head]}})
            taken.extend(head)

        taken: list[dict[str, Any]] = []
        seconds = timed(write)
        where = {"_id": {"$in": [key["training"] for key in taken]}}
        self._trainings.update_many(where, {"$set": {"status": "new"}})
        queue.insert_many(taken)
        return seconds

    def record(self, id: str, epoch: int) -> None:
        if id not in self._shapes:
            training, result = self._trainings.find_one({"_id": id}), self._results.find_one({})
            assert training is not None
            assert result is not None
            del result["_id"]
            self._shapes[id] = ({key: training[key] for key in ("status", "progress")}, result)
        changes, result = self._shapes[id]
        self._trainings.update_one({"_id": id, "status": "running"}, {"$set": changes})
        self._results.update_one({"_id": f"{id}:{epoch:06d}"}, {"$set": result}, upsert=True)

    def newest(self, path: str | None, value: str | None, after: tuple[int, str] | None = None) -> list[Any]:
        where: dict[str, Any] = {} if path is None else {path: value}
        if after is not None:
            arrival, id = after
            older = [{"arrival": {"$lt": arrival}}, {"arrival": arrival, "_id": {"$lt": id}}]
            where = {"arrival": {"$lte": arrival}, "$or": older}
        cursor = self._trainings.find(where, self._PLAIN).sort([("arrival", -1), ("_id", -1)])
        return list(cursor.limit(100))

    def key_at(self, depth: int) -> tuple[int, str]:
        order = [("arrival", -1), ("_id", -1)]
        row = next(self._trainings.find({}, {"arrival": 1}).sort(order).skip(depth).limit(1))
        return row["arrival"], row["_id"]

    def count(self) -> list[Any]:
        return list(self._db["floor_counts"].find())

    def curve(self, id: str) -> list[Any]:
        return list(self._results.find({"_id": {"$gte": f"{id}:", "$lt": f"{id};"}}).sort("_id"))

    def one(self, id: str) -> Any:
        return self._trainings.find_one({"_id": id})

    def prefix(self, text: str) -> list[Any]:
        where = {"_id": {"$gte": text, "$lt": text + "g"}}
        return [*self._trainings.find(where, {"_id": 1}).limit(5), *self._db["jobs"].find(where, {"_id": 1}).limit(5)]

    def observe(self) -> list[Any]:
        active = self._trainings.find({"status": {"$in": ["queued", "running"]}}, {"config": 0, "error": 0})
        return [*self._db["floor_queue"].find().sort("_id").limit(1), *active]

    def close(self) -> None:
        self._client.close()

    def _fill_queue(self) -> None:
        rows = self._trainings.find({"status": "new"}, {"priority": 1, "arrival": 1})
        keys = [
            {"_id": f"{r['priority']:012d}-{r['arrival']:0{_ARRIVAL_DIGITS}d}-{r['_id']}", "training": r["_id"]}
            for r in rows
        ]
        self._db["floor_queue"].insert_many(keys)


def open_floor(database: Database) -> Floor:
    """The floor of the database's kind."""
    return MongoFloor(database) if database.kind == "mongo" else SqliteFloor(database)
