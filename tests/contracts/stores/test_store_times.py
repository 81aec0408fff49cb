"""An attempt's times are in their order, whatever the clocks of those say who write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.samples import NOW, a_training, an_attempt

LOST = TrainingErrorInfo(type="Lost", message="it is gone")
BEFORE = NOW - timedelta(hours=1)


def test_a_run_whose_clock_is_behind_starts_when_it_was_queued(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    started = store.runs.start_training(training.id, 1, "worker", BEFORE)
    (attempt,) = started.attempts
    assert attempt.started_at == attempt.queued_at
    assert started.status_times["running"] == attempt.queued_at


def test_a_pass_ends_no_attempt_before_it_has_started(store: Store) -> None:
    """A run may start while the pass that ends it is under way, whose time is that of its beginning."""
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    later = NOW + timedelta(minutes=1)
    store.runs.start_training(training.id, 1, "worker", later)
    assert store.queue.end_attempt(training.id, 1, NOW, AttemptOutcome.LOST, TrainingStatus.NEW, LOST)
    (attempt,) = store.trainings.get_training(training.id).attempts
    assert attempt.queued_at < later == attempt.started_at == attempt.ended_at


def test_the_store_tells_the_time(store: Store) -> None:
    assert abs(store.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_an_attempt_that_its_own_run_calls_lost_reads_as_one_that_a_pass_calls_so(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "worker", NOW)
    store.runs.finish_training(training.id, 1, "worker", NOW, RunEnd(AttemptOutcome.LOST, error=LOST, reason="gone"))
    ended = store.trainings.get_training(training.id)
    assert (ended.status, ended.attempts[0].outcome) == (TrainingStatus.FAILED, AttemptOutcome.LOST)
