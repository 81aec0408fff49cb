"""A database that the first release filled (its first commit, with the quickstart's data set), in today's code.

`tests/older_databases/first_release.db.gz` is its SQLite file: a training and a search that have ended, a training that
was canceled, one that waits. The same documents are put into MongoDB, with the times that it had there.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import run_name
from mitorch_service.operations.archives.backup import back_up
from mitorch_service.operations.archives.backup_restoration import put_back
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.schema import VERSION
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.contracts.conftest import Database
from tests.fakes import FakeBackend, primitives

FILE = Path(__file__).parents[2] / "older_databases" / "first_release.db.gz"
JOB = "e77442cb-9fba-4ba7-809b-b6852a831d8a"
FIRST = "edbf241e-c72f-408f-88f1-0e66f8ada1fd"
CANCELED = "8f904eed-3dde-492d-8db1-9a68890eec2e"
WAITING = "66670db5-d260-4db6-b59e-f9f0fe4dd0ef"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
LATER = datetime.fromisoformat("2026-12-01T00:00:00Z")


def stored_documents(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The documents in a SQLite file of the first release, as it stored them in MongoDB."""
    found: dict[str, list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(path)) as database:
        for table in ("trainings", "jobs", "datasets", "training_results"):
            cursor = database.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
            apart = [{"config": json.loads(row["config"])} if "config" in row else {} for row in rows]
            found[table] = [
                with_times({**json.loads(row["body"]), **more}) for row, more in zip(rows, apart, strict=True)
            ]
    return found


def with_times(value: Any) -> Any:
    """The value with times in place of their texts."""
    if isinstance(value, dict):
        return {name: with_times(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_times(item) for item in value]
    return datetime.fromisoformat(value) if isinstance(value, str) and _TIME.fullmatch(value) else value


@pytest.fixture
def old(database: Database, tmp_path: Path) -> Iterator[Store]:
    """A store on what the first release left."""
    path = tmp_path / "first_release.db" if database.kind == "mongo" else Path(database.where)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.decompress(FILE.read_bytes()))
    if database.kind == "mongo":
        with pymongo.MongoClient[dict[str, Any]](database.where) as client:
            for collection, documents in stored_documents(path).items():
                client[database.name][collection].insert_many(documents)
    store = database.open()
    yield store
    store.close()


def test_all_of_it_is_read(old: Store) -> None:
    listing = old.trainings.list_trainings(TrainingFilter(), 10)
    assert (len(listing.items), listing.broken) == (6, [])
    first = old.trainings.get_training(FIRST)
    assert (first.name, first.tags, first.attempt, first.status) == ("first", ["example=training"], 1, "completed")
    assert [one.epoch for one in old.runs.curve(FIRST).items] == [1, 2]
    job = old.jobs.get_job(JOB)
    assert job.best is not None
    assert (job.best.number, round(job.best.value, 4)) == (0, 0.9481)
    assert [trial.trial.number for trial in old.jobs.iterate_trials(JOB) if trial.trial] == [0, 1, 2]
    assert old.datasets.get_dataset(DatasetRef(name="digits", version=1)).train.path.endswith("train.txt")


def test_it_is_brought_up_to_date_by_the_first_write_and_goes_on(old: Store, database: Database) -> None:
    old.prepare()
    old.queue.retry_training(CANCELED, LATER)
    backend = FakeBackend(slots=4)
    Controller(old, {"fake": backend}).tick(LATER)
    assert sorted(backend.running()) == sorted([run_name(WAITING, 1), run_name(CANCELED, 1)])
    assert old.trainings.count_trainings() == {"completed": 4, "queued": 2}
    ends = {row["_id"]: row.get("ended_at") for row in primitives(old).scan("trainings")}
    assert all((ends[id] is None) == (id in (CANCELED, WAITING)) for id in ends)
    versions = {row["_id"]: row.get("schema") for row in primitives(old).scan("trainings")}
    assert all((version == 2) == (id in (CANCELED, WAITING)) for id, version in versions.items())  # only what changed
    if database.kind == "sqlite":
        with closing(sqlite3.connect(database.where)) as file:
            assert file.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_its_backup_is_restored(old: Store, tmp_path: Path) -> None:
    back_up(old, None, tmp_path / "all.zip", LATER, lambda report: None)
    target = SqliteStore(None)
    put_back(target, None, tmp_path / "all.zip", False, lambda report: None)
    assert target.trainings.get_training(FIRST) == old.trainings.get_training(FIRST)
    assert target.runs.curve(FIRST).items == old.runs.curve(FIRST).items
    assert {row.get("schema") for row in primitives(target).scan("trainings")} == {2}
    assert target.trainings.count_trainings() == {"completed": 4, "canceled": 1, "new": 1}
    assert target.retention.ended_page(TrainingStatus.COMPLETED, LATER + timedelta(days=1), 10).items
