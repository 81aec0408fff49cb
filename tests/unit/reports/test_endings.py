"""Waiting for an end, and finding the trainings that ended between two passes."""

from __future__ import annotations

import pytest

from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import NotFound
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.reports.endings import ended_between, wait_for_end
from mitorch_service.stores.base import Store
from tests.samples import NOW, a_job, a_training


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
    assert [one.id for one in ended_between(store, before, Snapshot(active=[still]))] == [ended.id]
