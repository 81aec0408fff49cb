"""Callbacks: kept until they are delivered, by one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mitorch_service.models.base import new_id
from mitorch_service.models.callback import Callback, due_at
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_training, later


def a_callback(**fields: Any) -> Callback:
    """One that is due now."""
    values = {"id": new_id(), "source": "q", "created_at": NOW, "due": due_at(NOW)}
    return Callback(**{**values, "status_url": "https://host/status?sig=x", **fields})


def test_a_callback_is_there_once_and_due_in_order(store: Store) -> None:
    first, second, future = a_callback(due=due_at(later(-1))), a_callback(), a_callback(due=due_at(later(9)))
    assert [store.callbacks.add_callback(one) for one in (second, future, first)] == [True] * 3
    assert not store.callbacks.add_callback(first.model_copy(update={"status_url": "https://else"}))
    assert store.callbacks.find_callback(first.id) == first
    assert store.callbacks.due_callbacks(NOW, 10) == [first, second]
    assert store.callbacks.due_callbacks(NOW, 1) == [first]
    assert store.callbacks.count_callbacks() == 3


def test_one_process_delivers(open_store: Callable[[], Store]) -> None:
    one, other = open_store(), open_store()
    one.prepare()
    callback = a_callback()
    one.callbacks.add_callback(callback)
    mine = one.callbacks.lease_callback(callback, later(60))
    assert mine is not None and other.callbacks.lease_callback(callback, later(61)) is None
    assert other.callbacks.due_callbacks(NOW, 10) == []
    assert not other.callbacks.remove_callback(callback)
    posted = one.callbacks.record_callback(mine, {"posted_epoch": 2, "due": due_at(later(1))})
    assert posted is not None and one.callbacks.find_callback(callback.id) == posted
    assert one.callbacks.record_callback(mine, {"posted_epoch": 3}) is None  # the lease has ended
    assert one.callbacks.remove_callback(posted) and one.callbacks.count_callbacks() == 0


def test_trainings_are_read_at_once_and_damage_stops_nothing(store: Store) -> None:
    training, callback = a_training(), a_callback()
    store.queue.add_trainings([training])
    of_one = a_callback(id=training.id)
    assert store.callbacks.trainings_of([of_one, callback])[training.id].id == training.id  # type: ignore[union-attr]
    assert store.callbacks.trainings_of([]) == {}
    store.callbacks.add_callback(of_one)
    primitives(store).insert("callbacks", [{"_id": "damaged", "due": 5}])
    assert store.callbacks.due_callbacks(NOW, 10) == [of_one]
    assert store.callbacks.count_callbacks() == 1
