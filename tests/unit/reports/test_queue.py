"""The queue report: filters, counts, and the value that a training is compared by."""

from __future__ import annotations

import pytest

from mitorch_service.errors import NotAllowed, NotFound
from mitorch_service.models.status import TrainingStatus
from mitorch_service.reports.queue import build_filter, main_result, read_queue
from mitorch_service.stores.base import Store
from mitorch_service.stores.trainings import TrainingFilter
from tests.samples import a_job, a_training, a_trial


def test_a_page_has_the_newest_trainings_and_counts_of_all(store: Store) -> None:
    first, second = a_training(), a_training()
    store.queue.add_trainings([first, second])
    report = read_queue(store, TrainingFilter(), 1)
    assert [row.id for row in report.trainings] == [second.id]
    assert (report.counts, report.unreadable) == ({"new": 2}, [])


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
