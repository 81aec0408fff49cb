"""Whatever a document holds, its id is told, it is set aside, and everything else is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from bson.datetime_ms import DatetimeMS

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.controller.loop import Controller
from mitorch_service.errors import BrokenDocument, NotAllowed, NotFound
from mitorch_service.models.status import TrainingStatus
from mitorch_service.operations import lifecycle
from mitorch_service.operations.repair import repair
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_job, a_result, a_training, a_trial, an_attempt, later

BODIES = {
    "cut off": lambda body: body[: len(body) * 2 // 3],
    "empty": lambda body: b"",
    "a list": lambda body: b"[1, 2]",
    "a number": lambda body: b"7",
    "not UTF-8": lambda body: body[:-2] + b"\xff\xfe",
    "an empty object": lambda body: b"{}",
    "of another status": lambda body: body.replace(b'"status":"new"', b'"status":"completed"'),
}


def overwrite(path: Path, table: str, id: str, change: Callable[[bytes], bytes], column: str = "body") -> None:
    """Changes what is stored, as a failing disk or somebody with an editor does."""
    import sqlite3

    with sqlite3.connect(path) as raw:
        read = f"SELECT CAST({column} AS BLOB) FROM {table} WHERE _id = ?"
        ((text,),) = raw.execute(read, (id,))
        raw.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE _id = ?", (change(text), id))
    raw.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.mark.parametrize("body", BODIES)
def test_a_training_whose_text_is_none_is_set_aside_and_can_be_removed(file: Path, body: str) -> None:
    store, backend = SqliteStore(file), FakeBackend()
    broken, good = a_training(priority=0, tags=["team=a"]), a_training()
    store.queue.add_trainings([broken, good])
    overwrite(file, "trainings", broken.id, BODIES[body])
    if body != "of another status":
        assert [one.key for one in store.queue.queue_head(5).broken] == [broken.id]
    listed = store.trainings.list_trainings(TrainingFilter(tag="team=a"), 5)
    assert [*[row.id for row in listed.items], *[one.key for one in listed.broken]] == [broken.id]
    report = Controller(store, {"fake": backend}).tick(NOW)
    assert [broken.id in event.text for event in report.events if event.failed] == [True]
    assert store.trainings.count_trainings() == {"failed": 1, "queued": 1}
    assert not any(event.failed for event in Controller(store, {"fake": backend}).tick(NOW).events)
    with pytest.raises(BrokenDocument, match=f"{broken.id}.*micontrol repair"):
        store.trainings.get_training(broken.id)
    lifecycle.delete(store, FolderArtifactStore(file.parent / "artifacts"), "training", broken.id)
    assert store.trainings.count_trainings() == {"queued": 1}
    with pytest.raises(NotFound):
        store.damaged.find(broken.id)
    store.close()


def test_a_text_that_is_cut_off_keeps_its_beginning_its_config_and_its_columns(file: Path) -> None:
    store = SqliteStore(file)
    training = a_training(name="mine", tags=["team=a"])
    store.queue.add_trainings([training])
    overwrite(file, "trainings", training.id, lambda body: body[: body.index(b'"attempt"')])
    done = repair(store, training.id[:8], later(5))
    assert (done.was_damaged, done.status, list(done.lost)) == (True, "failed", [])
    mended = store.trainings.get_training(training.id)
    assert (mended.config, mended.dataset, mended.name) == (training.config, training.dataset, "mine")
    assert store.trainings.count_trainings() == {"failed": 1}
    lifecycle.retry(store, "training", training.id, later(6))
    assert [row.id for row in store.queue.queue_head(5).items] == [training.id]
    assert not repair(store, training.id, later(7)).was_damaged
    store.close()


def test_what_is_lost_altogether_is_not_repaired_but_deleted(file: Path) -> None:
    store = SqliteStore(file)
    training = a_training()
    store.queue.add_trainings([training])
    overwrite(file, "trainings", training.id, lambda body: b"null")
    overwrite(file, "trainings", training.id, lambda config: b"", "config")
    with pytest.raises(NotAllowed, match=r"config is lost.*micontrol delete"):
        repair(store, training.id, NOW)
    lifecycle.delete(store, FolderArtifactStore(file.parent / "artifacts"), "training", training.id)
    assert store.trainings.count_trainings() == {}
    store.close()


def test_jobs_results_data_sets_and_rungs_of_damaged_text_hide_no_others(file: Path) -> None:
    store = SqliteStore(file)
    broken, good = a_job(), a_job()
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    for epoch in (1, 2):
        store.runs.record_epoch(training.id, 1, 3, a_result(epoch))
    for job in (broken, good):
        store.jobs.add_job(job)
        store.rungs.record_rung(job.id, 0, 1, 0, 9, 0.5)
    overwrite(file, "training_results", f"{training.id}:000001", BODIES["cut off"])
    overwrite(file, "rungs", f"{good.id}:0:9:0", BODIES["a list"])
    overwrite(file, "jobs", broken.id, BODIES["cut off"])
    assert [result.epoch for result in store.runs.curve(training.id).items] == [2]
    assert store.rungs.rung_records(good.id, 9, 5) == []
    Controller(store, {}).tick(NOW)
    assert [job.id for job in store.jobs.active_jobs().items] == [good.id]
    assert store.jobs.active_jobs().broken == []
    lifecycle.delete(store, FolderArtifactStore(file.parent / "artifacts"), "job", broken.id)
    assert [job.id for job in store.jobs.list_jobs(5).items] == [good.id]
    store.close()


def test_values_that_python_cannot_hold_set_aside_their_document_only(mongo_store: Store) -> None:
    documents = [a_training(priority=0).to_document() for _ in range(3)]
    documents[0]["created_at"] = DatetimeMS(10**15)
    documents[1]["tags"] = [bson.Regex("(")]
    documents[2]["status_times"] = {"new": DatetimeMS(-(10**15))}
    good = a_training()
    primitives(mongo_store).insert("trainings", documents)
    mongo_store.queue.add_trainings([good])
    report = Controller(mongo_store, {"fake": FakeBackend()}).tick(NOW)
    told = "\n".join(event.text for event in report.events if event.failed)
    assert all(document["_id"] in told for document in documents)
    assert mongo_store.trainings.count_trainings() == {"failed": 3, "queued": 1}
    done = repair(mongo_store, documents[0]["_id"], NOW)
    assert list(done.lost) == []  # its arrival says when it was created
    created = mongo_store.trainings.get_training(documents[0]["_id"]).created_at
    assert created == datetime.fromtimestamp(documents[0]["arrival"] // 1000 / 1000, UTC)
    assert list(repair(mongo_store, documents[1]["_id"], NOW).lost) == ["tags.0"]
    assert mongo_store.trainings.count_trainings() == {"failed": 3, "queued": 1}


def test_a_document_of_a_foreign_id_can_be_deleted(mongo_store: Store, tmp_path: Path) -> None:
    primitives(mongo_store).insert("trainings", [{"_id": (id := bson.ObjectId()), "status": "new", "priority": 0}])
    Controller(mongo_store, {}).tick(NOW)
    with pytest.raises(NotAllowed, match="micontrol delete"):
        repair(mongo_store, str(id), NOW)
    lifecycle.delete(mongo_store, FolderArtifactStore(tmp_path / "artifacts"), "training", str(id))
    assert mongo_store.trainings.count_trainings() == {}


def test_a_trial_without_its_number_stops_no_search_and_gets_it_back(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    Controller(store, {}).tick(NOW)
    trials = store.jobs.latest_trials(job.id, 9)
    (last,) = (row for row in store.queue.queue_head(9).items if row.id == trials[0].id)
    whole = store.trainings.get_training(last.id).to_document()
    trial = {name: value for name, value in whole["trial"].items() if name != "number"}
    primitives(store).replace("trainings", {**whole, "trial": trial})
    report = Controller(store, {"fake": FakeBackend(slots=9)}).tick(later(1))
    assert [event.text.startswith(f"training {last.id} failed") for event in report.events if event.failed] == [True]
    assert sum(event.text.endswith("(attempt 1)") for event in report.events) == 3
    done = repair(store, last.id, later(2))
    assert (done.status, list(done.lost)) == ("failed", [])
    mended = store.trainings.get_training(last.id)
    assert mended.trial is not None
    assert mended.trial.number == trials[0].trial.number


def test_a_damaged_trial_goes_with_its_job(store: Store, tmp_path: Path) -> None:
    job = a_job()
    store.jobs.add_job(job)
    store.queue.add_trainings([a_trial(job.id, number) for number in range(3)])
    primitives(store).insert("trainings", [{**a_trial(job.id, 3).to_document(), "trial": 5}])
    lifecycle.cancel(store, {}, "job", job.id, NOW)
    for second in range(3):
        Controller(store, {}).tick(later(second))
    assert lifecycle.delete(store, FolderArtifactStore(tmp_path / "artifacts"), "job", job.id).trials == 4
    assert store.trainings.count_trainings() == {}


def test_a_damaged_attempt_is_filled_in_so_that_no_name_of_a_run_comes_twice(store: Store) -> None:
    document = a_training(status=TrainingStatus.RUNNING, attempt=2).to_document()
    document["attempts"] = [{"number": 1}, an_attempt(a_training(), 2).to_document()]
    primitives(store).insert("trainings", [document])
    repair(store, document["_id"], NOW)
    mended = store.trainings.get_training(document["_id"])
    assert [(attempt.number, attempt.cluster) for attempt in mended.attempts] == [(1, "-"), (2, "local")]


def test_a_training_whose_id_is_an_object_is_listed_once(mongo_store: Store) -> None:
    training = a_training()
    mongo_store.queue.add_trainings([training])
    primitives(mongo_store).insert("trainings", [{**training.to_document(), "_id": {"a": 1}}])
    listed = list(mongo_store.trainings.iterate_trainings(TrainingFilter(), 10))
    assert sorted(type(one).__name__ for one in listed) == ["BrokenDocument", "TrainingRow"]
