"""Orders for one and for many: what is refused stops nothing, and what there is no time for is told."""

from __future__ import annotations

from itertools import count

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.operations.orders import Labels, Means, Order, carry_out_all, change_labels
from mitorch_service.operations.selection import Chosen
from mitorch_service.stores.base import Store
from tests.samples import NOW, a_training


def means(store: Store) -> Means:
    return Means(store, dict, lambda: pytest.fail("no artifact is needed"), lambda: NOW)


def test_what_there_is_no_time_for_is_told(store: Store) -> None:
    trainings = [a_training() for _ in range(5)]
    store.queue.add_trainings(trainings)
    chosen = [Chosen("training", one.id) for one in trainings]
    ticks = count(0)
    done = carry_out_all(means(store), Order("cancel"), chosen, seconds=3, clock=lambda: next(ticks))
    assert (len(done.changed), done.refused, done.left) == (3, [], 2)
    again = carry_out_all(means(store), Order("cancel"), [*chosen, Chosen("training", "gone")], seconds=60)
    assert len(again.changed) == 5 and [id for id, _ in again.refused] == ["gone"]


def test_nothing_is_changed_by_halves(store: Store) -> None:
    training = a_training(priority=5)
    store.queue.add_trainings([training])
    given = frozenset({"priority", "name", "note", "tags"})
    for wrong in (
        Labels(given, 2**31),
        Labels(given, 9, "a\nb"),
        Labels(given, 9, "x", "y" * 2001),
        Labels(given, 9, add_tags=("no key",)),
        Labels(frozenset()),
    ):
        with pytest.raises(InvalidInput):
            change_labels(store, wrong, "training", training.id)
    assert store.trainings.get_training(training.id) == training
