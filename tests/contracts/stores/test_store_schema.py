"""Documents say the version of their form: older ones are read and brought up to date, newer ones are left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.errors import NewerDocument
from mitorch_service.insights.service_status import read_status
from mitorch_service.models.base import new_id
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.operations import lifecycle
from mitorch_service.operations.repair import repair
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Collection, Query
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_dataset, a_job, a_result, a_training, a_trial, an_attempt, later


def stored(store: Store, collection: Collection, id: str) -> dict[str, Any]:
    return next(primitives(store).find(Query(collection, {"_id": id})))


def old_form(training: Training, **fields: Any) -> dict[str, Any]:
    """The document as the first version stored it."""
    document = {**training.to_document(), **fields}
    return {name: value for name, value in document.items() if name not in ("schema", "shares", "ended_at")}


def insert_old(store: Store, training: Training, **fields: Any) -> str:
    primitives(store).insert("trainings", [old_form(training, **fields)])
    return training.id


def newer(store: Store, training: Training, **fields: Any) -> str:
    primitives(store).insert("trainings", [{**training.to_document(), "schema": 3, "shape": {"of": "later"}, **fields}])
    return training.id


def test_new_documents_say_their_version(store: Store) -> None:
    training, job, dataset = a_training(), a_job(), a_dataset()
    store.queue.add_trainings([training])
    store.jobs.add_job(job)
    store.datasets.add_dataset(dataset)
    assert stored(store, "trainings", training.id)["schema"] == 2
    assert stored(store, "jobs", job.id)["schema"] == 1
    assert stored(store, "datasets", dataset.id)["schema"] == 1


def test_the_first_change_brings_an_old_document_up_to_date(store: Store) -> None:
    priority, claimed, retried = (insert_old(store, a_training(tags=["user=ann"])) for _ in range(3))
    store.queue.set_priority(priority, 7)
    assert store.queue.claim_trainings([(claimed, an_attempt(store.trainings.get_training(claimed)))]) == [True]
    store.queue.request_cancel(retried, NOW)
    assert stored(store, "trainings", retried)["schema"] == 2
    assert store.trainings.get_training(retried).ended_at == NOW
    for id in (priority, claimed, retried):
        document = stored(store, "trainings", id)
        assert (document["schema"], document["shares"]) == (2, {"user": "ann", "team": ""})
    assert store.trainings.count_trainings() == {"new": 1, "queued": 1, "canceled": 1}
    assert store.queue.waiting_shares("user", 9) == ["", "ann"]


def test_an_old_pause_that_is_resumed_gets_the_form_of_today(store: Store) -> None:
    ended = {"status": "pruned", "status_times": {"new": NOW, "pruned": NOW}}
    trial = a_trial(new_id(), 0)
    inner = {**trial.to_document()["trial"], "until": 1}
    id = insert_old(store, trial, trial=inner, **ended)
    store.labels.set_label("training", id, "user_note", "look")
    document = stored(store, "trainings", id)
    assert (document["schema"], document["status"], document["trial"]["pause_at"]) == (2, "paused", 1)
    assert "until" not in document["trial"]
    assert store.trainings.get_training(id).status_times == {"new": NOW, "paused": NOW}
    assert store.trainings.count_trainings() == {"paused": 1}
    store.queue.retry_training(id, later(1))
    assert store.trainings.count_trainings() == {"new": 1}


def test_a_document_keeps_its_form_while_a_run_may_write_it(store: Store) -> None:
    training = a_training()
    attempt = an_attempt(training)
    running = {"status": "running", "attempt": 1, "fence": 1, "attempts": [attempt.to_document()]}
    id = insert_old(store, training, **running)
    store.queue.set_priority(id, 7)
    assert "schema" not in stored(store, "trainings", id)
    error = TrainingErrorInfo(type="Lost", message="gone")
    assert store.queue.end_attempt(id, 1, later(1), AttemptOutcome.LOST, TrainingStatus.NEW, error)
    document = stored(store, "trainings", id)
    assert (document["schema"], document["priority"], document["status"]) == (2, 7, "new")


def test_a_guard_that_refuses_leaves_an_old_document_as_it_is(store: Store) -> None:
    id = insert_old(store, a_training())
    before = stored(store, "trainings", id)
    assert not store.queue.note_missing(id, 1, NOW)
    assert store.queue.claim_trainings([(id, an_attempt(a_training(), 2))]) == [False]
    assert stored(store, "trainings", id) == before


ORDERS: dict[str, Callable[[Store, str], object]] = {
    "priority": lambda store, id: store.queue.set_priority(id, 1),
    "cancel": lambda store, id: store.queue.request_cancel(id, NOW),
    "retry": lambda store, id: store.queue.retry_training(id, NOW),
    "note": lambda store, id: store.labels.set_label("training", id, "user_note", "x"),
    "tag": lambda store, id: store.labels.change_tags("training", id, lambda tags: ["a=b"]),
    "repair": lambda store, id: repair(store, id, NOW),
    "delete": lambda store, id: store.queue.delete_training(id),
    "find": lambda store, id: store.damaged.find(id),
}


def test_no_order_changes_a_newer_document(store: Store) -> None:
    id = newer(store, a_training(), announce_end=True, status="failed")
    before = stored(store, "trainings", id)
    assert store.notifications.ended_trainings(9) == []
    for order in ORDERS.values():
        with pytest.raises(NewerDocument, match=r"schema 3; this one knows 2.*Upgrade mitorch-service"):
            order(store, id)
    assert stored(store, "trainings", id) == before


def test_passes_leave_newer_documents_alone_and_serve_what_is_behind_them(store: Store) -> None:
    waiting = [newer(store, a_training(priority=1)) for _ in range(6)]
    active = newer(store, a_training(), status="running", attempt=1, fence=1)
    job = a_job()
    primitives(store).insert("jobs", [{**job.to_document(), "schema": 2}])
    ours = a_training()
    store.queue.add_trainings([ours])
    before = [stored(store, "trainings", id) for id in (*waiting, active)]
    backend = FakeBackend(slots=2)
    report = Controller(store, {"fake": backend}).tick(NOW)
    assert store.trainings.get_training(ours.id).status == TrainingStatus.QUEUED
    assert [stored(store, "trainings", id) for id in (*waiting, active)] == before
    assert (stored(store, "jobs", job.id)["status"], stored(store, "jobs", job.id)["schema"]) == ("new", 2)
    told = [event.text for event in report.events if event.failed]
    assert len(told) == 2
    assert len(read_status(store, {}, NOW).unreadable) == 8
    assert all("Upgrade mitorch-service" in text for text in told)


def test_nothing_claims_fails_or_removes_a_newer_document(store: Store) -> None:
    ended = newer(store, a_training(status=TrainingStatus.FAILED, status_times={"failed": NOW}))
    waiting = newer(store, training := a_training())
    primitives(store).insert("training_results", [{"_id": f"{ended}:000001", **a_result(1).to_document()}])
    before = [stored(store, "trainings", id) for id in (ended, waiting)]
    assert store.queue.claim_trainings([(waiting, an_attempt(training))]) == [False]
    assert not store.queue.quarantine_training(waiting, NOW, "broken")
    assert not primitives(store).remove("trainings", waiting, {})
    assert not primitives(store).mend("trainings", waiting)
    page = store.retention.ended_page(TrainingStatus.FAILED, later(9), 10)
    assert (page.items, [one.key for one in page.broken]) == ([], [ended])
    assert store.retention.remove_ended([a_training(id=ended, status=TrainingStatus.FAILED)]) == 0
    assert [stored(store, "trainings", id) for id in (ended, waiting)] == before


def test_trials_and_data_sets_of_a_newer_version_are_not_removed(store: Store, tmp_path: Any) -> None:
    from mitorch_service.artifacts.folder import FolderArtifactStore

    artifacts, job = FolderArtifactStore(tmp_path / "artifacts"), a_job()
    primitives(store).insert("jobs", [{**job.to_document(), "status": "canceled"}])
    trials = [a_trial(job.id, number, status=TrainingStatus.CANCELED) for number in range(2)]
    store.queue.add_trainings(trials[:1])
    newer(store, trials[1])
    primitives(store).insert("datasets", [{**a_dataset().to_document(), "schema": 2}])
    for order in (
        lambda: lifecycle.delete(store, artifacts, "job", job.id),
        lambda: store.datasets.remove_dataset(DatasetRef(name="digits", version=1)),
        lambda: store.datasets.remove_unreadable("digits:1"),
    ):
        with pytest.raises(NewerDocument):
            order()
    assert store.trainings.count_trainings(job.id) == {"canceled": 2}
    assert stored(store, "datasets", "digits:1")["schema"] == 2


def test_what_another_program_inserted_gets_a_version_when_it_is_adopted(store: Store) -> None:
    ours = a_training()
    foreign = {"_id": ours.id, "status": "new", "priority": 100, "config": {}}
    later_form = {"_id": new_id(), "status": "new", "schema": 9}
    primitives(store).insert("trainings", [foreign, later_form])
    (found,) = store.adoption.foreign_documents("training", 9)
    assert store.adoption.adopt("training", found, ours.to_document())
    assert stored(store, "trainings", ours.id)["schema"] == 2
    (stranger,) = store.adoption.strangers("training", 9)
    assert isinstance(stranger, NewerDocument)


def test_a_restored_document_has_the_form_of_today(store: Store) -> None:
    training = a_training(status=TrainingStatus.FAILED, status_times={"new": NOW, "failed": NOW})
    backed, pruned = training, training.model_copy(update={"id": new_id()})
    store.backup.add("trainings", [old_form(backed)])
    store.retention.put_back("training", [(old_form(pruned), [])])
    for id in (backed.id, pruned.id):
        document = stored(store, "trainings", id)
        assert (document["schema"], "shares" in document, "ended_at" in document) == (2, True, True)
