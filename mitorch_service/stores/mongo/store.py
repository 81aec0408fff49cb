"""The store on MongoDB, or a service that speaks its protocol."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import pymongo
from bson import ObjectId
from bson.errors import BSONError
from pymongo import ReadPreference, errors
from pymongo.server_description import ServerDescription
from pymongo.uri_parser import split_options

from mitorch_service.errors import QueryTimedOut, StoreError, StoreUnavailable
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.document_paths import set_at
from mitorch_service.stores.mongo.clock import ServerClock
from mitorch_service.stores.mongo.counts import StatusCounts
from mitorch_service.stores.mongo.errors import asked_wait, is_dns_failure, passes, reason, unreachable_reason
from mitorch_service.stores.mongo.query import conditions, guard, stages_of
from mitorch_service.stores.mongo.upgrade import VERSION, upgrade
from mitorch_service.stores.patience import repeatedly
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Collection, Compaction, Guarded, Query, QueryPlan, Removal

Result = TypeVar("Result")

# A person waits for the first; runs and passes repeat what it ended.
TIMEOUTS = {"serverSelectionTimeoutMS": 3_000, "connectTimeoutMS": 10_000, "socketTimeoutMS": 60_000}
_PATIENCE_SECONDS = 30.0  # in which a call is repeated: added ids are skipped, changes are guarded
_DUPLICATE_KEY = 11000
_BULK = 1000

INDEXES: dict[Collection, list[list[tuple[str, int]]]] = {
    "trainings": [
        [("status", 1), ("priority", 1), ("arrival", 1), ("_id", 1)],
        [
            *(("status", 1), ("dataset.name", 1), ("dataset.version", 1)),
            *(("priority", 1), ("arrival", 1), ("_id", 1)),
        ],
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
    "views": [],
    "rungs": [
        [("job_id", 1), ("bracket", 1), ("epochs", 1), ("loss", 1), ("_id", 1)],
        [("job_id", 1), ("bracket", 1), ("paused", 1), ("epochs", 1), ("loss", 1), ("_id", 1)],
    ],
}


# Indexed where a document has them.
SPARSE: dict[Collection, list[str]] = {"trainings": ["trial.unmerged", "announce_end"], "jobs": ["announce_end"]}


class _Limit(threading.local):
    """The limit of time of one thread's reads."""

    seconds: float | None = None


class MongoStore(Store):
    """The store in the database `name` of the server at `uri`. Raises StoreError for a `uri` that is none."""

    def __init__(self, uri: str, name: str) -> None:
        super().__init__(MongoDatabase(uri, name))


class MongoDatabase(Primitives):
    """One database: seven collections, and `counters`. Writes are acknowledged by the majority (pymongo's and MongoDB's
    default)."""

    def __init__(self, uri: str, name: str) -> None:
        given = uri.lower()
        timeouts: dict[str, Any] = {key: value for key, value in TIMEOUTS.items() if key.lower() not in given}
        self._where = mask_secrets(uri)
        try:
            if options := uri.partition("?")[2]:
                split_options(options, validate=True, warn=False)  # raises for what the client would ignore
            self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
                uri,
                tz_aware=True,
                appname="mitorch",
                # A value that Python cannot hold must not fail the whole answer: its document is set aside.
                datetime_conversion="DATETIME_AUTO",
                unicode_decode_error_handler="replace",
                **timeouts,
            )
        except (errors.PyMongoError, ValueError, OSError) as error:  # OSError: of its files for TLS
            problem = mask_secrets(str(error))
            if is_dns_failure(error):
                raise self._unavailable(f"cannot be reached ({problem})") from error
            raise StoreError(self._where, problem, "Correct MITORCH_DB_URI (mongodb://user:password@host).") from error
        # A secondary may answer with what a guard has refused already.
        self._db = self._client.get_database(name, read_preference=ReadPreference.PRIMARY)
        self._counts = StatusCounts(self._db["trainings"], self._db["counters"])
        self._clock = ServerClock(lambda: self._client.admin.command("hello"))
        self._prepared = False
        self._limit = _Limit()

    def prepare(self) -> None:
        if self._prepared:
            return
        for collection, keys in INDEXES.items():
            if keys:
                models = [pymongo.IndexModel(key) for key in keys]
                models += [pymongo.IndexModel([(path, 1)], sparse=True) for path in SPARSE.get(collection, ())]
                self._call(partial(self._db[collection].create_indexes, models))
        if self._call(self._counts.begin) < VERSION:
            self._call(lambda: upgrade(self._db["trainings"], self._counts))
        self._prepared = True

    def ping(self) -> str:
        version = self._call(lambda: self._client.admin.command("buildInfo"))["version"]
        return f"MongoDB {version}, {self._where}"

    def now(self) -> datetime:
        return self._clock.now()

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        before, self._limit.seconds = self._limit.seconds, seconds
        try:
            with pymongo.timeout(seconds):
                yield
        finally:
            self._limit.seconds = before

    def check_writes(self) -> None:
        self._call(self._counts.touch)

    def close(self) -> None:
        self._client.close()

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        documents = list(documents)
        waiting, present = dict(enumerate(documents)), set[int]()
        self._call(lambda: self._insert_absent(collection, waiting, present))
        if collection == "trainings":
            added = Counter(d["status"] for number, d in enumerate(documents) if number not in present)
            self._counts.add(added, wait=len(documents) > 1)  # of one it would double the time
            if present and len(documents) > 1:  # whoever added these may have died before they were counted
                self._call(self._counts.correct)
        return len(documents) - len(present)

    def find(self, query: Query) -> Iterator[dict[str, Any]]:
        yield from self._call(lambda: list(self._cursor(query)))

    def count(self, query: Query) -> int:
        return self._call(lambda: self._db[query.collection].count_documents(conditions(query)))

    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        if job_id is None:
            return self._call(self._counts.read)
        counts = {
            s.value: self.count(Query("trainings", {"job_id": job_id, "status": s.value})) for s in TrainingStatus
        }
        return {status: number for status, number in counts.items() if number}

    def change(self, change: Guarded) -> dict[str, Any] | None:
        document = self._call(
            lambda: self._db[change.collection].find_one_and_update(
                guard(change.id, change.expect), {"$set": dict(change.set)}, projection={"config": 0}
            )
        )
        if document is None:
            return None
        if change.collection == "trainings" and "status" in change.set:
            self._count_moves([(document["status"], str(change.set["status"]))])
        for path, value in change.set.items():
            set_at(document, path, value)
        return document

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        """Marks each change: a bulk write returns how many changes were made, not which."""
        made: list[bool] = []
        mark = str(uuid.uuid4())
        for group in _groups(changes):
            collection = self._db[group[0].collection]
            if any("status" in change.set and len(change.expect["status"]) > 1 for change in group):
                made += [self.change(change) is not None for change in group]  # returns the status before
                continue
            writes = [
                pymongo.UpdateOne(guard(change.id, change.expect), {"$set": {**change.set, "write_mark": mark}})
                for change in group
            ]
            self._call(partial(_write_each, collection, writes))
            marked = {"_id": {"$in": [change.id for change in group]}, "write_mark": mark}
            found = self._call(lambda c=collection, w=marked: {d["_id"] for d in c.find(w, {"_id": 1})})  # type: ignore[misc]
            made += [change.id in found for change in group]
            ours = [change for change in group if change.id in found and "status" in change.set]
            self._count_moves([(str(change.expect["status"][0]), str(change.set["status"])) for change in ours])
        return made

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        fields = {name: value for name, value in document.items() if name != "_id"}
        unless_newer = {"_id": document["_id"], fence: {"$lte": document[fence]}}

        def upsert() -> bool:
            for _ in range(2):  # once more, when another writer has inserted the document between look and insert
                try:
                    self._db[collection].update_one(unless_newer, {"$set": fields}, upsert=True)
                    return True
                except errors.DuplicateKeyError:
                    continue
            return False

        return self._call(upsert)

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        where, status = {"_id": document["_id"]}, {"status": 1}
        before = self._call(
            lambda: self._db[collection].find_one_and_replace(where, dict(document), projection=status, upsert=True)
        )
        if collection == "trainings":
            self._count_moves([("" if before is None else str(before.get("status")), str(document["status"]))])

    def keys_of(self, text: str) -> tuple[object, ...]:
        return (text, ObjectId(text)) if ObjectId.is_valid(text) else (text,)

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        where, status = guard(id, expect), {"status": 1}
        document = self._call(lambda: self._db[collection].find_one_and_delete(where, projection=status))
        if document is not None and collection == "trainings":
            self._counts.add({str(document.get("status")): -1})
        return document is not None

    def remove_between(self, collection: Collection, low: str, high: str) -> int:
        where = {"_id": {"$gte": low, "$lt": high}}
        return self._call(lambda: self._db[collection].delete_many(where)).deleted_count

    def remove_all(self, removals: Sequence[Removal]) -> int:
        for records, group in groupby((removal.records for removal in removals), key=lambda records: records[0]):
            ranges = [pymongo.DeleteMany({"_id": {"$gte": low, "$lt": high}}) for _, low, high in group]
            self._call(partial(self._db[records].bulk_write, ranges, ordered=False))
        removed = 0
        for (collection, status), same in groupby(removals, key=lambda removal: (removal.collection, removal.status)):
            deletes = [pymongo.DeleteOne(guard(removal.id, removal.expect)) for removal in same]
            gone = self._delete_each(collection, deletes)
            self._counts.add({status: -gone} if collection == "trainings" else {})
            removed += gone
        return removed

    def compact(self, wait: Callable[[], object]) -> Compaction:
        self._call(self._counts.correct)
        return Compaction(0, "MongoDB keeps the space of deleted documents for new ones by itself")

    def explain(self, query: Query) -> QueryPlan:
        plan = self._call(lambda: self._cursor(query).explain())
        text = str(plan)
        stages = set(stages_of(plan["queryPlanner"]["winningPlan"]))
        return QueryPlan(uses_index="COLLSCAN" not in stages, sorts="SORT" in stages, text=text)

    def _cursor(self, query: Query) -> Any:
        where = conditions(query)
        projection = dict.fromkeys(query.without, 0) or None
        cursor = self._db[query.collection].find(where, projection)
        if query.order:
            cursor = cursor.sort(list(query.order))
        return cursor if query.limit is None else cursor.limit(query.limit)

    def _count_moves(self, moves: Sequence[tuple[str, str]]) -> None:
        changes: Counter[str] = Counter()
        for before, after in moves:
            changes[before] -= 1
            changes[after] += 1
        self._counts.add(changes)

    def _delete_each(self, collection: Collection, deletes: Sequence[pymongo.DeleteOne]) -> int:
        """Returns how many were deleted, in all tries together."""
        gone = 0

        def delete() -> None:
            nonlocal gone
            try:
                gone += self._db[collection].bulk_write(deletes, ordered=False).deleted_count
            except errors.BulkWriteError as error:
                gone += error.details["nRemoved"]
                raise

        self._call(delete)
        return gone

    def _insert_absent(self, collection: Collection, waiting: dict[int, Mapping[str, Any]], present: set[int]) -> None:
        """Adds the documents that wait, by number, and takes out those that are dealt with, so that a repeat adds the
        others. `present` gets the numbers of those that were there already."""
        numbers = list(waiting)
        if not numbers:
            return
        try:
            self._db[collection].insert_many([dict(waiting[number]) for number in numbers], ordered=False)
            waiting.clear()
        except errors.BulkWriteError as error:
            failed = {numbers[e["index"]]: e["code"] for e in error.details["writeErrors"]}
            present |= {number for number, code in failed.items() if code == _DUPLICATE_KEY}
            if error.details.get("writeConcernErrors"):
                raise  # added, but perhaps not to stay
            for number in numbers:
                if failed.get(number, _DUPLICATE_KEY) == _DUPLICATE_KEY:
                    del waiting[number]
            if waiting:
                raise

    def _call(self, operation: Callable[[], Result]) -> Result:
        """Makes a call, and repeats it while its error passes by itself."""
        try:
            return repeatedly(operation, self._asked_wait, _PATIENCE_SECONDS)
        except errors.ServerSelectionTimeoutError:
            problem = mask_secrets(unreachable_reason(self._servers()))
            raise self._unavailable(f"cannot be reached ({problem})") from None  # the driver adds its whole topology
        except (errors.PyMongoError, BSONError, OverflowError, ValueError, TypeError) as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> StoreError:
        """Our error for one of the driver's."""
        if isinstance(error, errors.PyMongoError) and error.timeout and self._limit.seconds is not None:
            return QueryTimedOut(self._where, self._limit.seconds)
        problem = mask_secrets(reason(error))
        if isinstance(error, errors.ConnectionFailure):
            return self._unavailable(f"cannot be reached ({problem})")
        if asked_wait(error) is not None:
            return StoreUnavailable(
                self._where,
                f"is overloaded or not ready, for {_PATIENCE_SECONDS:g} s: {problem}",
                "Try again later; if it happens often, raise its throughput or let fewer trainings run.",
            )
        return StoreError(self._where, problem, "See `mitorch doctor`; check the user's rights.")

    def _asked_wait(self, error: Exception) -> float | None:
        if self._limit.seconds is not None:
            return None
        if isinstance(error, errors.ServerSelectionTimeoutError):
            # Some answer, but none is the primary: they elect one. Otherwise waiting on has little hope.
            return 0.0 if any(server.is_server_type_known for server in self._servers()) else None
        return asked_wait(error)

    def _servers(self) -> list[ServerDescription]:
        return list(self._client.topology_description.server_descriptions().values())

    def _unavailable(self, problem: str) -> StoreUnavailable:
        return StoreUnavailable(
            self._where,
            problem,
            "Check MITORCH_DB_URI, that the server runs, and its firewall; then try again.",
        )


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
