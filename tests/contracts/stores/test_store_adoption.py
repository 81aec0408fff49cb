"""Documents that other programs insert become ours by one guarded change, on both stores, and are counted once."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pymongo
import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.errors import AlreadyExists, BrokenDocument, NotFound
from mitorch_service.insights.service_status import read_status
from mitorch_service.insights.waiting.queue import read_queue
from mitorch_service.insights.waiting.queue_overview import read_overview
from mitorch_service.models.dataset import DatasetRef, SasToken
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.operations.datasets.dataset_registration import remove_version
from mitorch_service.operations.repair import repair
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.wiring import open_translation
from tests.contracts.conftest import Database
from tests.fakes import FakeBackend, primitives
from tests.samples import CONFIG, NOW, a_dataset, a_training

GUID = "6b1f5c1e-0b6e-4a52-9a53-3a1c7f1f2d11"
AS_PRINTED = {
    "_id": GUID,
    "status": "new",
    "prority": 7,
    "created_at": datetime(2020, 1, 2, 3, 4, 5),  # noqa: DTZ001 - as other programs write times
    "dataset": "digits",
}


def inserted(database: Database, collection: str, **document: Any) -> None:
    """Inserts as another program does: by the driver, without our store."""
    if database.kind == "mongo":
        with pymongo.MongoClient[dict[str, Any]](database.where) as client:
            client[database.name][collection].insert_one(document)
        return
    import json
    import sqlite3

    names = ["_id", *(name for name in ("status", "priority", "name", "version") if name in document)]
    values = [*(document[name] for name in names), json.dumps(document, default=lambda time: time.isoformat())]
    with sqlite3.connect(database.where) as raw:
        marks = ", ".join("?" * len(values))
        raw.execute(f"INSERT INTO {collection} ({', '.join(names)}, body) VALUES ({marks})", values)
    raw.close()


def a_pass(store: Store, backend: FakeBackend) -> list[str]:
    controller = Controller(store, {"fake": backend}, translate=open_translation(read_settings({}), store))
    return [event.text for event in controller.tick(NOW).events]


def test_a_training_as_the_page_prints_it_runs_at_the_next_pass(store: Store, database: Database) -> None:
    store.datasets.add_dataset(a_dataset())
    inserted(database, "trainings", **AS_PRINTED, config=CONFIG)
    backend = FakeBackend()
    told = a_pass(store, backend)
    assert told[0] == f"training {GUID} adopted: another program had inserted it"
    adopted = store.trainings.get_training(GUID)
    assert (adopted.status, adopted.priority, str(adopted.dataset)) == (TrainingStatus.QUEUED, 7, "digits:1")
    assert adopted.created_at.isoformat() == "2020-01-02T03:04:05+00:00"
    assert adopted.config == CONFIG
    assert store.trainings.count_trainings() == {"queued": 1}
    assert primitives(store).count_statuses(None) == {"queued": 1}
    assert store.adoption.foreign_documents("training", 9) == []


def test_one_that_cannot_run_fails_with_a_sentence(store: Store, database: Database) -> None:
    inserted(database, "trainings", **AS_PRINTED, config=CONFIG)
    (told,) = a_pass(store, FakeBackend())
    failed = store.trainings.get_training(GUID)
    assert failed.error is not None
    assert told == f"training {GUID} failed: {failed.error.message}"
    assert "cannot run: dataset: 'digits' is not registered; none is: see midataset" in failed.error.message
    assert store.trainings.count_trainings() == {"failed": 1}


def test_ids_that_are_none_of_ours_become_guids(mongo_store: Store, mongodb_uri: str) -> None:
    mongo_store.datasets.add_dataset(a_dataset())
    mark = uuid.UUID(GUID)
    trainings = primitives(mongo_store)._connection.db["trainings"]  # type: ignore[attr-defined]
    from bson import Binary, ObjectId

    trainings.insert_many(
        [
            {"_id": Binary.from_uuid(mark), "status": "new", "config": {**CONFIG, "dataset": "digits"}},
            {"_id": ObjectId("64b7f9c2a1b2c3d4e5f60718"), "config": {**CONFIG, "dataset": "digits"}},
        ]
    )
    a_pass(mongo_store, FakeBackend(slots=9))
    rows = mongo_store.queue.active_trainings()
    assert rows.broken == []
    assert GUID in {row.id for row in rows.items}
    assert ["inserted_as=64b7f9c2a1b2c3d4e5f60718"] in [row.tags for row in rows.items]
    assert trainings.count_documents({}) == 2
    assert mongo_store.trainings.count_trainings() == {"queued": 2}


def test_a_search_is_adopted_too(store: Store, database: Database) -> None:
    store.datasets.add_dataset(a_dataset())
    space = {**CONFIG, "lr_scheduler": {"name": "cosine", "base_lr": {"_choice": [0.1, 0.01]}}}
    file = {
        "job_type": "search",
        "dataset": "digits",
        "config": space,
        "search": {"algorithm": "random", "max_trials": 2},
    }
    inserted(database, "jobs", _id=GUID, status="new", priority=100, config=file)
    inserted(database, "jobs", _id=str(uuid.uuid4()), status="new", config={"model": {"name": "resnet18"}})
    a_pass(store, FakeBackend())
    assert store.jobs.get_job(GUID).status == JobStatus.RUNNING
    (other,) = (job for job in store.jobs.list_jobs(9).items if job.id != GUID)
    assert other.status == JobStatus.FAILED
    assert 'describes no search: it needs "job_type": "search"' in str(other.error)


def test_two_passes_adopt_it_once(store: Store, database: Database) -> None:
    inserted(database, "trainings", **AS_PRINTED, config=CONFIG)
    (found,) = store.adoption.foreign_documents("training", 9)
    ours = a_training(id=GUID).to_document()
    assert store.adoption.adopt("training", found, ours)
    assert not store.adoption.adopt("training", found, ours)
    assert store.trainings.count_trainings() == {"new": 1}
    assert next(primitives(store).find(Query("trainings", {"_id": GUID})))["prority"] == 7
    assert isinstance(store.trainings.get_training(GUID), Training)


def test_one_that_has_ended_elsewhere_is_repaired_with_what_it_says(store: Store, database: Database) -> None:
    inserted(database, "trainings", **{**AS_PRINTED, "status": "completed"}, config=CONFIG)
    with pytest.raises(BrokenDocument):
        store.trainings.get_training(GUID)
    assert repair(store, GUID, NOW).was_damaged
    training = store.trainings.get_training(GUID)
    assert (training.status, training.dataset) == (TrainingStatus.COMPLETED, DatasetRef(name="digits"))
    assert training.created_at.isoformat() == "2020-01-02T03:04:05+00:00"


def test_a_status_that_is_none_of_ours_is_told_and_left(store: Store, database: Database) -> None:
    store.datasets.add_dataset(a_dataset())
    store.queue.add_trainings([a_training()])
    inserted(database, "trainings", **{**AS_PRINTED, "status": "pending"}, config=CONFIG)
    inserted(database, "jobs", _id="any", status="archived", config={})
    assert not [text for text in a_pass(store, FakeBackend(slots=0)) if GUID in text]
    (training, job) = read_status(store, {}, NOW).unreadable
    assert (training.key, job.key) == (GUID, "any")
    assert "its status 'pending' is none of new, queued, running" in training.reason
    assert "set its status to new there, and the next pass adopts it" in training.reason
    assert "'archived' is none of new" in job.reason
    assert [one.key for one in read_queue(store, TrainingFilter(), 9).unreadable] == [GUID]
    assert [one.key for one in read_overview(store, [], NOW).unreadable] == [GUID, "any"]
    (found,) = primitives(store).find(Query("trainings", {"_id": GUID}))
    assert (found["status"], found["prority"]) == ("pending", 7)


def test_a_data_set_that_is_inserted_by_hand_is_read_as_a_registered_one(store: Store, database: Database) -> None:
    url = "https://acct.blob.core.windows.net/data/train.txt"
    split = {"path": f"{url}?sv=1&sig=secret", "support_files": ["https://acct.blob.core.windows.net/data/a.zip?sig=s"]}
    document = {"_id": "any", "name": "digits", "version": 0, "train": split, "val": {"path": "/data/val.txt"}}
    inserted(database, "datasets", **document)
    ref = DatasetRef(name="digits", version=0)
    by_hand = store.datasets.get_dataset(DatasetRef(name="digits"))
    assert (by_hand.id, by_hand.train.path, by_hand.with_sas(url)) == ("digits:0", url, f"{url}?sv=1&sig=secret")
    assert store.datasets.get_dataset(ref) == store.datasets.list_datasets().items[0] == by_hand
    assert store.datasets.read_versions([ref, DatasetRef(name="none", version=1)]).items == [by_hand]
    with pytest.raises(AlreadyExists):
        store.datasets.add_dataset(a_dataset(version=0))
    renewed = a_dataset(version=0).model_copy(update={"sas_tokens": [SasToken(url=url, token="sig=new")]})
    store.datasets.renew_tokens(renewed)
    assert store.datasets.get_dataset(ref).with_sas(url) == f"{url}?sig=new"
    store.datasets.remove_dataset(ref)
    assert store.datasets.list_datasets().items == []


def test_one_that_is_damaged_by_hand_names_the_field(store: Store, database: Database) -> None:
    inserted(database, "datasets", _id="any", name="digits", version=0, train={"path": "a", "suport_files": []})
    with pytest.raises(BrokenDocument, match="suport_files"):
        store.datasets.get_dataset(DatasetRef(name="digits", version=0))
    remove_version(store, DatasetRef(name="digits", version=0))
    assert store.datasets.list_datasets().broken == []


def test_one_without_name_and_version_is_removed_as_its_error_says(store: Store, database: Database) -> None:
    inserted(database, "datasets", _id="any", train={"path": "a"}, val={"path": "b"})
    (broken,) = store.datasets.list_datasets().broken
    assert "midataset remove any`" in str(broken)
    remove_version(store, DatasetRef.parse("any"))
    assert store.datasets.list_datasets().broken == []
    with pytest.raises(NotFound):
        remove_version(store, DatasetRef.parse("any"))
