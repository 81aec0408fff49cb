"""Reads end at a limit of time, and only the reads that have one."""

from __future__ import annotations

import pytest

from mitorch_service.errors import QueryTimedOut
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.samples import a_training


def read_all(store: Store) -> int:
    """A read that takes some milliseconds."""
    return len(list(store.trainings.iterate_trainings(TrainingFilter(), 1000)))


def test_a_read_ends_at_the_limit(store: Store) -> None:
    store.queue.add_trainings([a_training() for _ in range(1000)])
    with pytest.raises(QueryTimedOut, match=r"took longer than 0\.0001 s"), store.time_limit(0.0001):
        read_all(store)
    with store.time_limit(60.0):
        assert read_all(store) == 1000
        with pytest.raises(QueryTimedOut), store.time_limit(0.0001):
            read_all(store)
        assert read_all(store) == 1000  # the wider limit holds again
    assert read_all(store) == 1000
