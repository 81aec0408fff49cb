"""Trainings that only a full cluster could take hold nobody up, however many they are."""

from __future__ import annotations

import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Resources, Training, TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing
from tests.fakes import FakeBackend
from tests.samples import a_training, an_attempt, later

MANY = 150


def active(store: Store) -> set[str]:
    return {row.id for row in store.queue.active_trainings().items}


def two_clusters(store: Store, free: int) -> Controller:
    return Controller(store, {"full": FakeBackend("full", slots=0), "open": FakeBackend("open", slots=free)})


def bound(**fields: int) -> Training:
    return a_training(resources=Resources(cluster=["full"]), **fields)


def test_those_behind_go_to_the_cluster_that_is_free_in_their_order(store: Store) -> None:
    behind = [a_training(priority=priority) for priority in (9, 7, 8, 7, 9)]
    between = [a_training(resources=Resources(cluster=["open"]), priority=8)]
    store.queue.add_trainings([*behind, *between, *(bound(priority=1) for _ in range(MANY))])
    two_clusters(store, 3).tick(later(2))
    assert active(store) == {behind[1].id, behind[3].id, behind[2].id}


def test_a_pass_reads_a_part_of_a_queue_in_which_nothing_can_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.queue.add_trainings([bound() for _ in range(3100)])
    heads = counted_heads(store, monkeypatch)
    two_clusters(store, 3).tick(later(2))
    assert heads == [4, 100, 100, 200, 400, 800, 1400] and active(store) == set()


def counted_heads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trainings each read of the queue asks for."""
    heads: list[int] = []
    read = store.queue.queue_head

    def counted(limit: int, behind: TrainingRow | None = None) -> Listing[TrainingRow]:
        heads.append(limit)
        return read(limit, behind)

    monkeypatch.setattr(store.queue, "queue_head", counted)
    return heads


def test_a_pass_stops_reading_where_it_finds_enough(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.queue.add_trainings([*(bound() for _ in range(150)), *(a_training() for _ in range(450))])
    heads = counted_heads(store, monkeypatch)
    two_clusters(store, 3).tick(later(2))
    assert heads == [4, 100, 100] and len(active(store)) == 3


def test_those_that_a_cluster_has_refused_hold_up_nobody(store: Store) -> None:
    refused = []
    for training in (a_training(priority=1) for _ in range(120)):
        tried = an_attempt(training, cluster="open").model_copy(
            update={"outcome": AttemptOutcome.REFUSED, "ended_at": later(1), "reason": "quota"}
        )
        refused.append(training.model_copy(update={"attempt": 1, "attempts": [tried]}))
    runs, waits = a_training(), a_training()
    store.queue.add_trainings([*refused, runs, waits])
    assert store.queue.claim_training(runs.id, an_attempt(runs, cluster="open"))
    store.queue.record_submission(runs.id, 1, later(2), None)  # the cluster takes trainings again
    two_clusters(store, 2).tick(later(3))
    assert waits.id in active(store)
