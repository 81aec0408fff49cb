"""The heartbeat of the controllers in the store."""

from __future__ import annotations

from mitorch_service.controller.loop import Controller
from mitorch_service.errors import StoreUnavailable
from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend, HookedStore, primitives
from tests.samples import NOW, a_training, later


def test_the_last_pass_of_any_controller_is_remembered(store: Store) -> None:
    assert store.controllers.last_pass() is None
    first, second = Controller(store, {}, every=1.0), Controller(store, {})
    first.tick(NOW)
    assert (last := store.controllers.last_pass()) is not None
    assert (last.at, last.every, last.failures, last.complete) == (NOW, 1.0, 0, True)
    first.tick(later(1))  # so soon afterwards it would only cost
    assert store.controllers.last_pass() == last
    second.tick(later(2))
    assert (last := store.controllers.last_pass()) is not None
    assert (last.at, last.every) == (later(2), None)
    first.tick(later(10))
    assert (last := store.controllers.last_pass()) is not None
    assert (last.at, last.every) == (later(10), 1.0)


def test_a_damaged_heartbeat_is_replaced_by_the_next_pass(store: Store) -> None:
    store.controllers.record_pass(Heartbeat(at=NOW, machine="box", process=1))
    primitives(store).replace("controllers", {"_id": "controller", "at": "yesterday"})
    assert store.controllers.last_pass() is None
    Controller(store, {}).tick(later(1))
    assert (last := store.controllers.last_pass()) is not None
    assert last.at == later(1)


def test_a_pass_whose_heartbeat_cannot_be_written_is_a_pass(store: Store) -> None:
    def fails(operation: str) -> None:
        if operation == "replace":
            raise StoreUnavailable("here", "it is gone", "Wait.")

    store.queue.add_trainings([a_training()])
    report = Controller(HookedStore(store, fails), {"fake": FakeBackend()}).tick(NOW)
    assert [event.failed for event in report.events] == [False, True]
    assert store.trainings.count_trainings() == {"queued": 1}
