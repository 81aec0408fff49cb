"""One SQLite store that several threads use."""

from __future__ import annotations

import threading

import pytest

from mitorch_service.errors import StoreError
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.samples import a_training


@pytest.mark.parametrize("attempt", range(5))
def test_a_store_that_is_closed_while_another_thread_reads_is_an_error_and_no_crash(attempt: int) -> None:
    store = SqliteStore(None)
    store.queue.add_trainings([a_training() for _ in range(200)])
    reading, errors = threading.Event(), list[StoreError]()

    def read() -> None:
        try:
            while True:
                store.trainings.list_trainings(TrainingFilter(), 200)
                reading.set()
        except StoreError as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(10)
    store.close()
    thread.join(10)
    assert len(errors) == 1
