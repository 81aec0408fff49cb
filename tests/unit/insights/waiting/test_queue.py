"""The queue report: filters, counts, and the value that a training is compared by."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.errors import NotAllowed, NotFound
from mitorch_service.insights.waiting.queue import build_filter, main_result, read_queue
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Matches, TrainingFilter
from tests.samples import a_job, a_training, a_trial, later


def test_a_page_begins_with_what_runs_then_what_comes_next_then_what_ended_last(store: Store) -> None:
    running = a_training(status="running")
    waiting = [a_training(priority=priority) for priority in (200, 100, 100)]
    assigned = a_training(status="queued")
    ended = [
        a_training(status=status, status_times={status: later(second)})
        for status, second in (("completed", 30), ("failed", 10), ("pruned", 20))
    ]
    for one in (running, *waiting, assigned, *ended):
        store.queue.add_trainings([one])
    order = [running, assigned, waiting[1], waiting[2], waiting[0], ended[0], ended[2], ended[1]]

    def page(filter: TrainingFilter, limit: int) -> list[str]:
        return [row.id for row in read_queue(store, filter, limit).trainings]

    assert page(TrainingFilter(), 20) == [one.id for one in order]
    assert page(TrainingFilter(dataset="digits"), 20) == [one.id for one in order]
    assert page(TrainingFilter(), 6) == [one.id for one in [*order[:4], *order[5:7]]]  # each part has its share
    assert page(TrainingFilter(), 1) == [running.id]
    assert page(TrainingFilter(status=TrainingStatus.NEW), 2) == [waiting[1].id, waiting[2].id]


def test_what_was_submitted_long_ago_and_runs_is_on_the_first_page(store: Store) -> None:
    old = a_training(status="running", tags=["team=vision"])
    store.queue.add_trainings([old, *(a_training(tags=["team=vision"]) for _ in range(5))])
    assert read_queue(store, TrainingFilter(tag="team=vision"), 2).trainings[0].id == old.id


def test_counts_are_of_what_the_filter_lets_pass(store: Store) -> None:
    tagged = [a_training(tags=["team=a"], status=status) for status in ("new", "failed", "failed")]
    store.queue.add_trainings([*tagged, a_training(), a_training(status="failed")])

    def matches(**filter: Any) -> Matches:
        return read_queue(store, TrainingFilter(**filter), 1).matches

    assert matches(tag="team=a") == Matches(3, {"new": 1, "failed": 2})
    assert matches(tag="team=a", status=TrainingStatus.FAILED) == Matches(2, {"failed": 2})
    assert matches(status=TrainingStatus.FAILED) == Matches(3, {"failed": 3})
    assert matches(dataset="nothing") == Matches(0, {})
    assert matches() == Matches(5, {"new": 2, "failed": 3})


def test_a_filter_is_built_from_what_a_person_writes(store: Store) -> None:
    job, training = a_job(), a_training()
    store.jobs.add_job(job)
    store.queue.add_trainings([training])
    built = build_filter(store, "new", job.id[:8], "digits:3", "team=vision")
    assert built == TrainingFilter(TrainingStatus.NEW, job.id, "digits", "team=vision")
    assert build_filter(store, None, None, None, None) == TrainingFilter()
    with pytest.raises(NotAllowed, match="Give the id of a job"):
        build_filter(store, None, training.id, None, None)
    with pytest.raises(NotFound):
        build_filter(store, None, "ffffffff-ffff", None, None)


def test_a_training_is_compared_by_its_objectives_or_its_first_metric() -> None:
    measured = {"val_loss": 0.5, "f1": 0.75, "accuracy": 0.875}
    assert main_result(a_training(evaluation=measured)) == {"f1": 0.75}
    assert main_result(a_training(evaluation={"val_loss": 0.5})) == {"val_loss": 0.5}
    assert main_result(a_trial(a_job().id, 0, evaluation=measured)) == {"val_loss": 0.5}
    assert main_result(a_training()) == {}
