"""Databases of N queued and N finished trainings, five results each, as the product itself would have written them.

    python -m tests.benchmarks.filling --store sqlite|mongo --n N --keep DIR

One in ten of the finished belongs to a job of a hundred trials; ten data sets, a hundred teams (tags).
"""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo

from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Progress, Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.mongo.indexes import INDEXES
from mitorch_service.stores.mongo.store import MongoStore
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.benchmarks.measuring import arguments, timed
from tests.fakes import primitives
from tests.mongodb_server import mongodb_uri
from tests.samples import NOW, a_dataset, a_job, a_result, a_trial, an_attempt, later

RESULTS = 5  # epochs of each finished training
TEAMS = 100
SETS = 10
TRIALS = 100  # of each job
CONFIG: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "scripts" / "samples" / "quickstart_training.json").read_text()
)
_BATCH = 10_000
_MONGO_BATCH = 2_000


@dataclass(frozen=True)
class Database:
    """A filled database, which any number of stores and processes may open. Can be pickled."""

    kind: str
    where: str  # the SQLite file, or the server
    name: str

    def open(self) -> Store:
        """A new store on it, prepared."""
        store: Store = MongoStore(self.where, self.name) if self.kind == "mongo" else SqliteStore(Path(self.where))
        store.prepare()
        return store

    def settings(self) -> dict[str, str]:
        """Returns the environment with which a command finds the store."""
        uri = self.where if self.kind == "mongo" else f"sqlite:///{self.where}"
        return {"MITORCH_DB_URI": uri, "MITORCH_DB_NAME": self.name}


@contextmanager
def filled(kind: str, n: int, keep: str | None) -> Iterator[Database]:
    """A database with N queued and N finished trainings. It is dropped afterwards; with `keep` it is filled once and
    stays, and whoever uses it puts back what they change."""
    with tempfile.TemporaryDirectory(prefix="mitorch-benchmark-") as folder:
        if kind == "sqlite":
            file = Path(folder, "mitorch.db")
            if keep is None:
                fill(Database(kind, str(file), "mitorch"), n)
            else:
                file = _kept_file(Path(keep), n)
            yield Database(kind, str(file), "mitorch")
            return
        with mongodb_uri() as uri:
            name = f"mitorch_benchmark_{n}" if keep else f"mitorch_benchmark_{uuid.uuid4().hex[:12]}"
            database = Database(kind, uri, name)
            with closing(pymongo.MongoClient[dict[str, Any]](uri)) as client:
                if name not in client.list_database_names():
                    fill(database, n)
                try:
                    yield database
                finally:
                    if keep is None:
                        client.drop_database(name)


def fill(database: Database, n: int) -> None:
    """Adds the trainings, the finished ones first, in the order of their arrival."""
    with closing(database.open()) as store, indexes_last(database):
        store.datasets.add_dataset(a_dataset())
        batch = _BATCH if database.kind == "sqlite" else _MONGO_BATCH
        for start in range(0, n, batch):
            numbers = range(start, min(n, start + batch))
            _add_finished(store, n, numbers)
        for start in range(0, n, batch):
            store.queue.add_trainings([queued(n + number) for number in range(start, min(n, start + batch))])


def queued(number: int) -> Training:
    """A training that waits; the number says which, and when it came."""
    return _WAITING.model_copy(
        update={
            "id": training_id(number),
            "arrival": _WAITING.arrival + number,
            "created_at": NOW + timedelta(seconds=number),
            "priority": (50, 100, 100, 100, 200)[number % 5],
            **_marks(number),
        }
    )


def training_id(number: int) -> str:
    """A GUID in no order, the same for the same number; negative ones are jobs."""
    seed = number if number >= 0 else f"job {number}"  # the generator takes -1 for 1
    return str(uuid.UUID(int=random.Random(seed).getrandbits(128), version=4))


def _add_finished(store: Store, n: int, numbers: range) -> None:
    trials = [number for number in numbers if number < n // 10]
    jobs = [_job(number // TRIALS) for number in trials if number % TRIALS == 0]
    primitives(store).insert("jobs", jobs)
    primitives(store).insert("trainings", [_finished(number, n) for number in numbers])
    results = []
    for number in numbers:
        id = training_id(number)
        for epoch, result in enumerate(_RESULTS, 1):
            results.append({"_id": f"{id}:{epoch:06d}", "training_id": id, "attempt": 1, **result})
    primitives(store).insert("training_results", results)


def _finished(number: int, n: int) -> dict[str, Any]:
    id = training_id(number)
    status = "completed" if number % 50 else ("failed", "canceled", "diverged", "pruned")[number // 50 % 4]
    at = NOW + timedelta(seconds=number)
    attempt = {**_ENDED["attempts"][0], "run_name": f"mt-{id}-a1", "outcome": status}
    document = {
        **_ENDED,
        "_id": id,
        "status": status,
        "arrival": _WAITING.arrival + number,
        "created_at": at,
        "status_times": {"new": at, "queued": at, "running": at, status: at},
        "attempts": [attempt],
        **{key: value if key != "dataset" else value.model_dump() for key, value in _marks(number).items()},
    }
    if number < n // 10:
        trial = {**_TRIAL["trial"], "number": number % TRIALS, "value": 1 / (1 + number % 97)}
        document |= {"job_id": training_id(-1 - number // TRIALS), "trial": trial}
    return document


def _marks(number: int) -> dict[str, Any]:
    dataset = (
        _WAITING.dataset if number % SETS == 0 else _WAITING.dataset.model_copy(update={"name": f"set-{number % SETS}"})
    )
    return {"name": f"run {number}", "tags": [f"team={number % TEAMS}"], "dataset": dataset}


def _job(number: int) -> dict[str, Any]:
    id = training_id(-1 - number)
    return a_job(id=id, status=JobStatus.COMPLETED, arrival=_WAITING.arrival + number * TRIALS).to_document()


@contextmanager
def indexes_last(database: Database) -> Iterator[None]:
    """Building the indexes over what is there takes a fraction of the time that keeping them takes."""
    with _mongo_indexes_last(database) if database.kind == "mongo" else _sqlite_indexes_last(database):
        yield


@contextmanager
def _mongo_indexes_last(database: Database) -> Iterator[None]:
    with closing(pymongo.MongoClient[dict[str, Any]](database.where)) as client:  # without limits of time
        dropped = {}
        for collection in map(client[database.name].get_collection, INDEXES):
            found = collection.index_information()
            dropped[collection] = [
                pymongo.IndexModel(one["key"], name=name, sparse=one.get("sparse", False))
                for name, one in found.items()
                if name != "_id_"
            ]
            collection.drop_indexes()
        yield
        for collection, indexes in dropped.items():
            if indexes:
                collection.create_indexes(indexes)


@contextmanager
def _sqlite_indexes_last(database: Database) -> Iterator[None]:
    with closing(sqlite3.connect(database.where, isolation_level=None)) as db:
        found = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        indexes = {name: sql for name, sql in found if "UNIQUE" not in sql.upper()}
        for name in indexes:
            db.execute(f"DROP INDEX {name}")
    yield
    with closing(sqlite3.connect(database.where, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = -1000000")
        for sql in indexes.values():
            db.execute(sql)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _kept_file(folder: Path, n: int) -> Path:
    file = folder / f"mitorch-{n}.db"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            fill(Database("sqlite", str(Path(part, "new.db")), "mitorch"), n)
            Path(part, "new.db").rename(file)
    return file


_WAITING = Training(
    **{
        **a_trial("", 0).model_dump(exclude={"job_id", "trial"}),
        "config": {key: value for key, value in CONFIG.items() if key != "dataset"},
        "max_epochs": RESULTS,
    }
)
_TRIAL = a_trial("", 0).to_document()
_RESULTS = [a_result(epoch).model_dump() for epoch in range(1, RESULTS + 1)]
_ENDED = _WAITING.model_copy(
    update={
        "attempt": 1,
        "attempts": [
            an_attempt(_WAITING).model_copy(
                update={
                    "submitted_at": NOW,
                    "started_at": NOW,
                    "ended_at": later(60),
                    "url": "https://example.org/a-run",
                    "outcome": AttemptOutcome.COMPLETED,
                }
            )
        ],
        "status": TrainingStatus.COMPLETED,
        "worker": str(uuid.uuid4()),
        "progress": Progress(epoch=RESULTS, max_epochs=RESULTS, metrics={"top1_accuracy": 0.9}, at=later(50)),
        "evaluation": {"val_loss": 0.3, "top1_accuracy": 0.9},
        "artifacts": {"weights": "/home/someone/.mitorch/artifacts/a-run/weights.pt"},
    }
).to_document()


def main() -> None:
    parser = arguments(__doc__)
    given = parser.parse_args()

    def fill_one() -> None:
        with filled(given.store, given.n, given.keep):
            pass

    print(f"{timed(fill_one):.1f} s")


if __name__ == "__main__":
    main()
