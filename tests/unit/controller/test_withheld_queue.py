"""Trainings that wait for their data set hold nobody up, however many they are."""

from __future__ import annotations

import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import DatasetRef, SasToken
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import a_dataset, a_training, an_attempt, later

OTHER = DatasetRef(name="digits", version=2)
MANY = 1500


@pytest.mark.parametrize("is_refused", [False, True])
def test_what_can_run_behind_many_that_wait_for_their_data_runs(store: Store, is_refused: bool) -> None:
    expired = SasToken(url="https://team.blob.core.windows.net/c/train.txt", token="se=2026-01-01T00:00:00Z")
    store.datasets.add_dataset(a_dataset().model_copy(update={"sas_tokens": [] if is_refused else [expired]}))
    store.datasets.add_dataset(a_dataset(version=2))
    waiting = [a_training() for _ in range(MANY)]
    if is_refused:
        first = waiting[0]
        tried = an_attempt(first, cluster="fake").model_copy(
            update={"outcome": AttemptOutcome.BLOCKED, "of_data": True, "ended_at": later(1), "reason": "refused"}
        )
        waiting[0] = first.model_copy(update={"attempt": 1, "attempts": [tried]})
    behind = [a_training(dataset=ref) for ref in (OTHER, NO_DATASET, OTHER, NO_DATASET)]
    store.queue.add_trainings([*waiting, *behind])
    Controller(store, {"fake": FakeBackend(slots=3)}).tick(later(2))
    assert {row.id for row in store.queue.active_trainings().items} == {row.id for row in behind[:3]}
