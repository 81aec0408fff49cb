"""Waiting for an end, and finding the trainings that ended between two passes."""

from __future__ import annotations

import pytest

from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import NotFound
from mitorch_service.insights.endings import AttemptEnd, ended_between, reason_of, wait_for_end
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.stores.base import Store
from tests.samples import NOW, a_job, a_training, an_attempt


def test_a_training_is_waited_for_until_it_has_ended(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    pauses: list[object] = []

    def pause() -> None:
        pauses.append(None)
        store.queue.request_cancel(training.id, NOW)

    assert wait_for_end(store, training, pause) == TrainingStatus.CANCELED
    assert len(pauses) == 1


def test_an_ended_job_is_not_waited_for(store: Store) -> None:
    job = a_job(status=JobStatus.COMPLETED)
    store.jobs.add_job(job)
    assert wait_for_end(store, job, lambda: pytest.fail("it has ended")) == JobStatus.COMPLETED
    with pytest.raises(NotFound):
        wait_for_end(store, a_job(), lambda: None)


def test_what_is_no_longer_active_and_has_ended_is_found(store: Store) -> None:
    ended = a_training(status=TrainingStatus.COMPLETED)
    again = a_training()  # lost, and new again
    gone, still = a_training(), a_training(status=TrainingStatus.RUNNING)
    store.queue.add_trainings([ended, again, still])
    before = Snapshot(active=[ended, again, gone, still])
    assert list(ended_between(store, before, Snapshot(active=[still]))) == [ended]


def test_what_started_and_ended_between_two_passes_is_found(store: Store) -> None:
    waiting = a_training()
    ended = waiting.model_copy(update={"status": TrainingStatus.COMPLETED})
    store.queue.add_trainings([ended])
    assert list(ended_between(store, Snapshot(queue=[waiting]), Snapshot())) == [ended]


def test_an_attempt_that_was_lost_is_found_once(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    running = store.queue.active_trainings().items
    lost = TrainingErrorInfo(type="Lost", message="the node vanished")
    store.queue.end_attempt(training.id, 1, NOW, AttemptOutcome.LOST, TrainingStatus.NEW, lost)
    after = Snapshot(queue=store.queue.queue_head(10).items)
    end = AttemptEnd(training.id, 1, "lost", "the node vanished")
    assert list(ended_between(store, Snapshot(active=running), after)) == [end]
    assert list(ended_between(store, after, after)) == []


def test_the_reason_of_an_end_is_told_in_its_own_words(store: Store) -> None:
    failed = a_training(status=TrainingStatus.FAILED, error=TrainingErrorInfo(type="X", message="CUDA out of memory"))
    canceled, job = a_training(status=TrainingStatus.CANCELED), a_job(status=JobStatus.FAILED, error="too many failed")
    store.queue.add_trainings([failed, canceled])
    store.jobs.add_job(job)
    assert reason_of(store, failed) == "CUDA out of memory"
    assert reason_of(store, canceled) is None
    assert reason_of(store, job) == "too many failed"
