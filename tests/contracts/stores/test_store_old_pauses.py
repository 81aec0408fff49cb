"""Trials that version 0.1 or an earlier one has paused: stored as pruned, with the epoch of their pause under either of
its names."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pymongo
import pytest

from mitorch_service.models.base import new_id
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.contracts.conftest import Database
from tests.fakes import primitives
from tests.older_files import forget_notifications, forget_times
from tests.samples import NOW, a_result, a_trial, an_attempt, later

JOB = new_id()
TOMORROW = NOW + timedelta(days=1)


@pytest.fixture(params=["pause_at", "until"])
def old(request: pytest.FixtureRequest, store: Store) -> str:
    """The id of one, which has ended its first attempt."""
    training = a_trial(JOB, 0)
    document = {name: value for name, value in training.to_document().items() if name != "schema"}
    trial = {**document["trial"], "rungs": [1, 3], request.param: 1}
    attempt = an_attempt(training).model_copy(update={"outcome": AttemptOutcome.PRUNED, "ended_at": NOW})
    ended = {"status": "pruned", "status_times": {"new": NOW, "pruned": NOW}, "attempt": 1}
    attempts = [attempt.to_document()]
    primitives(store).insert("trainings", [{**document, **ended, "trial": trial, "attempts": attempts}])
    primitives(store).insert(
        "training_results", [{"_id": f"{training.id}:000001", "attempt": 1, **a_result(1).to_document()}]
    )
    return training.id


def test_it_is_read_as_paused(store: Store, old: str) -> None:
    training = store.trainings.get_training(old)
    assert (training.status, training.trial and training.trial.pause_at) == (TrainingStatus.PAUSED, 1)
    assert training.status_times[TrainingStatus.PAUSED] == NOW
    assert store.rungs.rows_among([old])[old].is_paused()
    assert [row.status for row in store.jobs.iterate_trials(JOB)] == [TrainingStatus.PAUSED]


def test_it_is_found_as_what_it_is_shown(
    database: Database, store: Store, old: str, open_store: Callable[[], Store]
) -> None:
    pruned = a_trial(JOB, 1)
    ended = {"status": "pruned", "status_times": {"new": NOW, "pruned": NOW}}
    primitives(store).insert("trainings", [{**pruned.to_document(), **ended}])
    _mark_as_of_an_earlier_version(database)
    for _ in range(2):  # the second one has nothing to do
        again = open_store()
        again.prepare()
        for status, id in ((TrainingStatus.PAUSED, old), (TrainingStatus.PRUNED, pruned.id)):
            rows = again.trainings.list_trainings(TrainingFilter(status), 9).items
            assert [(row.id, row.status) for row in rows] == [(id, status)]
        assert again.trainings.count_trainings() == again.trainings.count_trainings(JOB) == {"paused": 1, "pruned": 1}
        assert again.trainings.get_training(old).status_times == {"new": NOW, "paused": NOW}


def _mark_as_of_an_earlier_version(database: Database) -> None:
    if database.kind == "mongo":
        with pymongo.MongoClient[dict[str, object]](database.where) as client:
            client[database.name]["counters"].update_many({}, {"$unset": {"version": 1}})
    else:
        with closing(sqlite3.connect(database.where)) as file:
            forget_times(file)
            forget_notifications(file)
            file.execute("PRAGMA user_version = 7")


@pytest.mark.parametrize("pause_at", [3, None])
def test_it_is_resumed_once(store: Store, old: str, pause_at: int | None) -> None:
    row = store.trainings.get_training(old)
    assert store.rungs.resume_trial(row, pause_at, 7, later(5))
    assert not store.rungs.resume_trial(row, pause_at, 7, later(5))
    again = store.trainings.get_training(old)
    assert (again.status, again.trial and again.trial.pause_at) == (TrainingStatus.NEW, pause_at)
    assert store.trainings.count_trainings() == store.trainings.count_trainings(JOB) == {"new": 1}
    store.queue.claim_training(old, an_attempt(row, 2))
    store.runs.start_training(old, 2, "worker", NOW, 1)
    outcome = AttemptOutcome.COMPLETED if pause_at is None else AttemptOutcome.PAUSED
    store.runs.finish_training(old, 2, "worker", later(9), RunEnd(outcome))
    assert store.trainings.get_training(old).status == TrainingStatus(outcome.value)
    assert store.trainings.count_trainings() == {outcome.value: 1}


def test_it_is_retried(store: Store, old: str) -> None:
    store.queue.retry_training(old, later(5), to_its_end=True)
    training = store.trainings.get_training(old)
    assert (training.status, training.trial and training.trial.pause_at) == (TrainingStatus.NEW, None)


def test_it_is_deleted(store: Store, old: str) -> None:
    store.queue.delete_training(old)
    assert store.trainings.count_trainings() == {}


@pytest.mark.parametrize("stored", [TrainingStatus.PRUNED, TrainingStatus.PAUSED])
def test_retention_removes_it_and_those_of_today_with_their_results(
    store: Store, old: str, stored: TrainingStatus
) -> None:
    if stored == TrainingStatus.PAUSED:
        store.rungs.resume_trial(store.trainings.get_training(old), 3, 7, NOW)
        store.queue.claim_training(old, an_attempt(store.trainings.get_training(old), 2))
        store.runs.start_training(old, 2, "worker", NOW, 1)
        store.runs.finish_training(old, 2, "worker", NOW, RunEnd(AttemptOutcome.PAUSED))
    rows = [one.row for one in store.retention.ended_page(stored, TOMORROW, 9).items]
    assert [(row.id, row.status) for row in rows] == [(old, TrainingStatus.PAUSED)]
    assert store.retention.unchanged(rows) == rows
    assert store.retention.remove_ended(rows) == 1
    assert store.retention.remove_ended(rows) == 0
    assert store.trainings.count_trainings() == {}
    assert store.runs.curve(old).items == []
