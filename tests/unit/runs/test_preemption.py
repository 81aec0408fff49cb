"""The end of an attempt whose node is taken away."""

from __future__ import annotations

from datetime import datetime

import pytest

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.runs.preemption import end_preempted_attempt
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import NOW, a_result, a_training, an_attempt, later


def started(store: Store, epochs: int = 2) -> Training:
    store.queue.add_trainings([training := a_training()])
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.begin_attempt(training.id, 1, NOW)
    store.runs.start_training(training.id, 1, "first", NOW)
    for epoch in range(1, epochs + 1):
        store.runs.record_epoch(training.id, 1, 9, a_result(epoch))
    return training


def clock() -> datetime:
    return later(60)


@pytest.fixture
def store() -> Store:
    return SqliteStore(None)


def test_a_node_records_its_own_preemption(store: Store) -> None:
    training = started(store)
    end_preempted_attempt(store, training.id, 1, "first", clock, "its node was preempted")
    row = store.trainings.get_training(training.id)
    (attempt,) = row.attempts
    assert (row.status, row.fence, row.error and row.error.type) == (TrainingStatus.NEW, 0, "Preempted")
    assert (attempt.outcome, attempt.preempted, attempt.epoch) == (AttemptOutcome.LOST, True, 2)
    assert (attempt.begun_at, attempt.ended_at, attempt.reason) == (NOW, later(60), "its node was preempted")
    with pytest.raises(StaleAttempt):  # the process that was killed with its node, if it was not
        store.runs.record_epoch(training.id, 1, 9, a_result(3))


def test_a_time_limit_is_told_from_other_preemptions(store: Store) -> None:
    training = started(store)
    end_preempted_attempt(store, training.id, 1, "first", clock, "its time limit was reached", timed_out=True)
    (attempt,) = store.trainings.get_training(training.id).attempts
    assert (attempt.preempted, attempt.timed_out) == (True, True)


def test_only_the_process_that_has_the_attempt_may_end_it(store: Store) -> None:
    training = started(store)
    for worker in ("second", None):
        with pytest.raises(StaleAttempt):
            end_preempted_attempt(store, training.id, 1, worker, clock, "its node was preempted")
    assert store.trainings.get_training(training.id).status == TrainingStatus.RUNNING


def test_a_node_may_be_taken_away_before_the_training_starts(store: Store) -> None:
    store.queue.add_trainings([training := a_training()])
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.begin_attempt(training.id, 1, NOW)
    end_preempted_attempt(store, training.id, 1, None, clock, "its node was preempted")
    row = store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].preempted, row.attempts[0].epoch) == (TrainingStatus.NEW, True, None)


def test_a_training_that_is_to_be_canceled_is(store: Store) -> None:
    training = started(store)
    store.queue.request_cancel(training.id, NOW)
    end_preempted_attempt(store, training.id, 1, "first", clock, "its node was preempted")
    assert store.trainings.get_training(training.id).status == TrainingStatus.CANCELED


def test_what_is_taken_back_loses_what_was_said_of_its_loss(store: Store) -> None:
    """A run that only seemed lost goes on with its training."""
    training = started(store)
    lost = Training.model_validate({**training.model_dump(), "error": {"type": "Lost", "message": "gone"}}).error
    assert lost is not None
    store.queue.end_attempt(training.id, 1, NOW, AttemptOutcome.LOST, TrainingStatus.NEW, lost)
    assert store.trainings.get_training(training.id).error == lost
    store.runs.heartbeat(training.id, 1, later(5))
    row = store.trainings.get_training(training.id)
    assert (row.status, row.error, row.attempts[0].outcome) == (TrainingStatus.RUNNING, None, None)
