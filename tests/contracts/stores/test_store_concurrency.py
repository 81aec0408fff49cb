"""Many processes on one database: nothing is lost, nothing is done twice, no lock error reaches anybody."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeVar

from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.contracts.conftest import Database
from tests.samples import NOW, a_result, a_training, an_attempt

Argument = TypeVar("Argument")
Result = TypeVar("Result")

PROCESSES = 6
together: Barrier
# Each is forked from a process that has imported this module only: a copy of a driver's connection is of no use.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def test_each_training_is_claimed_by_one_of_many_processes(store: Store, database: Database) -> None:
    trainings = [a_training() for _ in range(60)]
    store.queue.add_trainings(trainings)
    claims = in_processes(partial(claim_all, database), range(PROCESSES))
    winners = Counter(id for claimed in claims for id in claimed)
    assert winners == Counter(training.id for training in trainings)
    assert store.trainings.count_trainings() == {"queued": 60}


def test_the_same_trainings_added_by_many_are_there_once(store: Store, database: Database) -> None:
    trainings = [a_training() for _ in range(40)]
    added = in_processes(partial(add, database), [trainings] * PROCESSES)
    assert sum(added) == 40
    assert store.trainings.count_trainings() == {"new": 40}


def test_many_processes_open_an_empty_database_at_once(database: Database, open_store: Callable[[], Store]) -> None:
    added = in_processes(partial(add_together, database), [a_training() for _ in range(PROCESSES)])
    assert added == [1] * PROCESSES
    assert open_store().trainings.count_trainings() == {"new": PROCESSES}


def test_many_processes_open_many_empty_files_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.db" for number in range(20)]
    assert in_processes(open_together, [paths] * PROCESSES) == [len(paths)] * PROCESSES


def test_runners_record_at_once_and_lose_nothing(store: Store, database: Database) -> None:
    trainings = [a_training() for _ in range(PROCESSES)]
    store.queue.add_trainings(trainings)
    in_processes(partial(run_thirty_epochs, database), trainings)
    for training in trainings:
        assert [result.epoch for result in store.runs.curve(training.id).items] == list(range(1, 31))


def in_processes(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> list[Result]:
    barrier = FORKS.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, mp_context=FORKS, initializer=meet_at, initargs=(barrier,)) as pool:
        return list(pool.map(function, arguments))


def meet_at(barrier: Barrier) -> None:
    """Run first in each process: where all of them wait for each other."""
    global together
    together = barrier


def claim_all(database: Database, number: int) -> list[str]:
    """Claims from the head until nothing is left; returns what this process got."""
    store = database.open()
    mine = []
    while head := store.queue.queue_head(5).items:
        for row in head:
            if store.queue.claim_training(row.id, an_attempt(Training(**row.model_dump(), config={}))):
                mine.append(row.id)
    store.close()
    return mine


def add(database: Database, trainings: list[Training]) -> int:
    store = database.open()
    store.prepare()
    added = store.queue.add_trainings(trainings)
    store.close()
    return added


def add_together(database: Database, training: Training) -> int:
    together.wait(30)
    return add(database, [training])


def open_together(paths: list[Path]) -> int:
    for path in paths:
        together.wait(30)
        SqliteStore(path).close()
    return len(paths)


def run_thirty_epochs(database: Database, training: Training) -> None:
    store = database.open()
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, training.id, NOW)
    for epoch in range(1, 31):
        store.runs.record_epoch(training.id, 1, 30, a_result(epoch))
    store.close()
