"""The counts by status that MongoDB does not keep by itself: right where it matters, corrected where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pymongo
import pytest
from pymongo.database import Database as MongoDatabase

from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.mongo.store import MongoStore
from mitorch_service.stores.verbs.runs import RunEnd
from tests.contracts.conftest import Database
from tests.samples import NOW, a_result, a_training, an_attempt

MANY = 150  # more than are counted one by one


@pytest.fixture
def database(mongodb_uri: str) -> Iterator[Database]:
    database = Database("mongo", mongodb_uri)
    yield database
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database.name)


@pytest.fixture
def raw(database: Database) -> Iterator[MongoDatabase[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](database.where) as client:
        yield client[database.name]


def kept(raw: MongoDatabase[dict[str, Any]]) -> dict[str, int]:
    """The counts by the counters alone."""
    sums: dict[str, int] = {}
    for document in raw["counters"].find():
        for status, number in document["n"].items():
            sums[status] = sums.get(status, 0) + number
    return {status: number for status, number in sums.items() if number}


def test_every_way_that_a_status_changes_is_counted(store: Store, raw: MongoDatabase[dict[str, Any]]) -> None:
    trainings = [a_training() for _ in range(6)]
    store.queue.add_trainings(trainings[:5])
    store.queue.add_trainings(trainings)  # five of them are there
    assert kept(raw) == {"new": 6}
    claims = [(training.id, an_attempt(training)) for training in trainings[:5]]
    assert store.queue.claim_trainings(claims) == [True] * 5
    assert store.queue.claim_trainings(claims) == [False] * 5
    assert kept(raw) == {"new": 1, "queued": 5}
    for training in trainings[:3]:
        store.runs.start_training(training.id, 1, training.id, NOW)
        store.runs.record_epoch(training.id, 1, 9, a_result(1))
    assert kept(raw) == {"new": 1, "queued": 2, "running": 3}
    store.runs.finish_training(trainings[0].id, 1, trainings[0].id, NOW, RunEnd(AttemptOutcome.COMPLETED))
    store.runs.finish_training(trainings[0].id, 1, trainings[0].id, NOW, RunEnd(AttemptOutcome.COMPLETED))
    store.runs.retry_attempt(trainings[1].id, 1, trainings[1].id, NOW, RunEnd(AttemptOutcome.FAILED))
    store.queue.request_cancel(trainings[5].id, NOW)
    assert kept(raw) == {"new": 1, "queued": 2, "running": 1, "completed": 1, "canceled": 1}
    store.queue.retry_training(trainings[5].id, NOW)
    store.queue.quarantine_training(trainings[4].id, NOW, "it is damaged")
    store.queue.delete_training(trainings[0].id)
    assert kept(raw) == {"new": 2, "queued": 1, "running": 1, "failed": 1} == store.trainings.count_trainings()
    page = store.retention.ended_page(TrainingStatus.FAILED, NOW + timedelta(1), 9)
    assert store.retention.remove_ended([one.row for one in page.items]) == 1
    assert kept(raw) == {"new": 2, "queued": 1, "running": 1} == store.trainings.count_trainings()


def test_what_is_few_is_right_whatever_the_counters_say(store: Store, raw: MongoDatabase[dict[str, Any]]) -> None:
    store.queue.add_trainings([a_training() for _ in range(3)])
    raw["counters"].update_one({}, {"$inc": {"n.new": 20, "n.running": 4, "n.failed": -7}}, upsert=True)
    assert store.trainings.count_trainings() == {"new": 3}


def test_large_counts_come_from_the_counters_until_they_are_corrected(
    store: Store, raw: MongoDatabase[dict[str, Any]]
) -> None:
    store.queue.add_trainings([a_training() for _ in range(MANY)])
    raw["counters"].update_one({}, {"$inc": {"n.new": 2}}, upsert=True)  # as a process leaves them that dies in between
    assert store.trainings.count_trainings() == {"new": MANY + 2}
    store.retention.compact(lambda: None)
    assert store.trainings.count_trainings() == {"new": MANY}
    store.retention.compact(lambda: None)
    assert kept(raw) == {"new": MANY}


def test_many_that_somebody_added_and_died_are_counted_when_they_are_added_again(
    store: Store, raw: MongoDatabase[dict[str, Any]]
) -> None:
    trainings = [a_training() for _ in range(MANY)]
    raw["trainings"].insert_many([training.to_document() for training in trainings])
    assert store.queue.add_trainings([*trainings, a_training()]) == 1
    assert store.trainings.count_trainings() == {"new": MANY + 1}


def test_what_an_earlier_version_left_is_counted_once(database: Database, raw: MongoDatabase[dict[str, Any]]) -> None:
    raw["trainings"].insert_many([a_training().to_document() for _ in range(MANY)])
    stores = [MongoStore(database.where, database.name) for _ in range(3)]
    for store in stores:
        store.prepare()
        assert store.trainings.count_trainings() == {"new": MANY}
        store.close()
    assert kept(raw) == {"new": MANY}


def test_counters_that_cannot_be_written_fail_no_change(
    store: Store, raw: MongoDatabase[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    raw["counters"].drop()
    raw["counters"].insert_many([{"_id": f"slot {number}", "n": "damaged"} for number in range(8)])
    trainings = [a_training(), a_training()]
    assert store.queue.add_trainings(trainings) == 2
    assert store.trainings.get_training(trainings[0].id) == trainings[0]
    assert store.trainings.count_trainings() == {"new": 2}
    assert "counts by status" in caplog.text
