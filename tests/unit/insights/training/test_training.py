"""The training report: cost and curve."""

from __future__ import annotations

import pytest

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.errors import NotFound
from mitorch_service.insights.training.training import read_curve, read_training
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_result, a_training, an_attempt, later


def test_a_training_is_read_with_its_cost_until_now(store: Store) -> None:
    training = a_training(status=TrainingStatus.RUNNING, attempt=1)
    attempt = an_attempt(training).model_copy(update={"started_at": NOW, "price": 2.0, "nodes": 3})
    store.queue.add_trainings([training.model_copy(update={"attempts": [attempt]})])
    report = read_training(store, training.id, later(1800))
    assert (report.training.id, report.cost, report.has_ended) == (training.id, Cost(1.5, 3.0), False)
    with pytest.raises(NotFound):
        read_training(store, a_training().id, NOW)


def test_a_curve_has_the_epochs_in_order_without_broken_ones(store: Store) -> None:
    training = a_training()
    records = [{"_id": f"{training.id}:{epoch:06}", **a_result(epoch).to_document()} for epoch in (2, 1)]
    primitives(store).insert("training_results", [*records, {"_id": f"{training.id}:000003", "epoch": "three"}])
    assert [result.epoch for result in read_curve(store, training.id)] == [1, 2]
