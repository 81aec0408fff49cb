"""The store's verbs on a database of N queued and N finished trainings, each beside the raw driver doing the least.

    python -m tests.benchmarks.store --store sqlite|mongo --n N [--keep DIR] [--only TEXT]

One JSON object a line; a floor runs on the same database, with the same indexes and durability, in turns with ours.
Ours includes building and validating the models. A floor gets its documents ready-made, and decodes what it reads.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from mitorch_service.models.base import new_id
from mitorch_service.models.new_training import new_training
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, Training, TrainingErrorInfo, next_arrival, run_name
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.benchmarks.filling import CONFIG, SETS, TEAMS, TRIALS, Database, filled, training_id
from tests.benchmarks.floors import Floor, open_floor
from tests.benchmarks.measuring import (
    Round,
    Scale,
    Unit,
    arguments,
    compare,
    percentile,
    repeated,
    report,
    timed,
)
from tests.samples import a_dataset

BATCH = 200  # trainings assigned at once
RUNNERS = 50
_MANY = 10_000
_FLOOR_EPOCHS = 500_000  # the floor's results are behind this epoch, so that ours can be counted
_DATASET = a_dataset().ref


def a_waiting(number: int) -> Training:
    """A training as misubmit builds it."""
    return new_training(
        new_id(),
        {**CONFIG},
        _DATASET,
        datetime.now(UTC),
        next_arrival(),
        name=f"added {number}",
        tags=[f"team={number % TEAMS}"],
    )


def give_back(store: Store, trainings: Sequence[tuple[str, int]]) -> None:
    """Lets the controller's verdict put claimed trainings (id, attempt) into the queue again."""
    error, lost = TrainingErrorInfo(type="Lost", message="given back"), AttemptOutcome.LOST
    for id, attempt in trainings:
        store.queue.end_attempt(id, attempt, datetime.now(UTC), lost, TrainingStatus.NEW, error)


class Reading:
    """Measures the reads of the command line."""

    def __init__(self, store: Store, floor: Floor, scale: Scale) -> None:
        self._store, self._floor, self._scale = store, floor, scale

    def figures(self) -> dict[str, Callable[[], None]]:
        """Returns the functions that measure and report each read, by name."""
        n = self._scale.n
        job, some = training_id(-1), training_id(n // 2)
        page = self._floor.key_at(min(1000 * 100, 2 * n - 101))
        filters: dict[str, tuple[TrainingFilter, str | None, str | None]] = {
            "list 100 newest": (TrainingFilter(), None, None),
            "list 100, status completed": (TrainingFilter(status=TrainingStatus.COMPLETED), "status", "completed"),
            "list 100, status failed (1 in 200)": (TrainingFilter(status=TrainingStatus.FAILED), "status", "failed"),
            "list 100, status running (none)": (TrainingFilter(status=TrainingStatus.RUNNING), "status", "running"),
            f"list 100, of a job of {TRIALS}": (TrainingFilter(job_id=job), "job_id", job),
            f"list 100, by data set (1 in {SETS})": (TrainingFilter(dataset="set-3"), "dataset.name", "set-3"),
            f"list 100, by tag (1 in {TEAMS})": (TrainingFilter(tag="team=7"), "tags", "team=7"),
            "list 100, by a tag that none has": (TrainingFilter(tag="team=none"), "tags", "team=none"),
        }
        steps: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            name: (self._listing(filter), lambda p=path, v=value: self._floor.newest(p, v))  # type: ignore[misc]
            for name, (filter, path, value) in filters.items()
        }
        steps |= {
            "page 1,000 deep, by key": (
                lambda: self._store.trainings.list_trainings(TrainingFilter(), 100, page),
                lambda: self._floor.newest(None, None, page),
            ),
            "count by status": (self._store.trainings.count_trainings, self._floor.count),
            "one curve": (lambda: self._store.runs.curve(some), lambda: self._floor.curve(some)),
            "one training": (lambda: self._store.trainings.get_training(some), lambda: self._floor.one(some)),
            "id from its first 12 characters": (
                lambda: self._store.trainings.resolve_id(some[:12]),
                lambda: self._floor.prefix(some[:12]),
            ),
        }
        return {name: self._figure(name, *pair) for name, pair in steps.items()}

    def _figure(self, name: str, ours: Callable[[], object], floor: Callable[[], object]) -> Callable[[], None]:
        def measure() -> None:
            count = max(1, min(50, int(0.1 / timed(ours))))
            compare(name, self._scale, repeated(ours, count), repeated(floor, count), "ms", count)

        return measure

    def _listing(self, filter: TrainingFilter) -> Callable[[], object]:
        return lambda: self._store.trainings.list_trainings(filter, 100)


class Writing:
    """Measures the writes of submission, the controller and the runs."""

    def __init__(self, store: Store, floor: Floor, scale: Scale) -> None:
        self._store, self._floor, self._scale = store, floor, scale

    def figures(self) -> dict[str, Callable[[], None]]:
        """Returns the functions that measure and report each write, by name."""
        few = 200
        steps: dict[str, tuple[Round, Round, int]] = {
            "record an epoch": (*self._record(few), few),
            f"assign (find and claim {BATCH})": (self._assign, lambda: self._floor.assign(BATCH), BATCH),
            "add one": (lambda: self._add_one(few), lambda: self._raw_one(few), few),
            f"add many ({_MANY:,})": (self._add_many, self._raw_many, _MANY),
        }
        return {name: self._figure(name, *step) for name, step in steps.items()}

    def _figure(self, name: str, ours: Round, floor: Round, count: int) -> Callable[[], None]:
        unit: Unit = "1/s"
        return lambda: compare(name, self._scale, ours, floor, unit, count)

    def _add_one(self, count: int) -> float:
        added: list[str] = []

        def add() -> None:
            for number in range(count):
                training = a_waiting(number)
                self._store.queue.add_trainings([training])
                added.append(training.id)

        seconds = timed(add)
        self._floor.forget(added)
        return seconds

    def _add_many(self) -> float:
        added: list[str] = []

        def add() -> None:
            trainings = [a_waiting(number) for number in range(_MANY)]
            self._store.queue.add_trainings(trainings)
            added.extend(training.id for training in trainings)

        seconds = timed(add)
        self._floor.forget(added)
        return seconds

    def _raw_one(self, count: int) -> float:
        return self._raw(count, self._floor.add_one)

    def _raw_many(self) -> float:
        return self._raw(_MANY, self._floor.add_many)

    def _raw(self, count: int, add: Callable[[Sequence[Any]], None]) -> float:
        training = a_waiting(0)
        self._store.queue.add_trainings([training])
        copies = self._floor.copies(training.id, count)
        ids = [copy["_id"] if isinstance(copy, dict) else copy[0][1][0] for copy in copies]
        seconds = timed(lambda: add(copies))
        self._floor.forget([*ids, training.id])
        return seconds

    def _assign(self) -> float:
        claims: list[tuple[str, Attempt]] = []

        def claim() -> None:
            for row in self._store.queue.queue_head(BATCH).items:
                number = row.attempt + 1
                name = run_name(row.id, number)
                attempt = Attempt(number=number, cluster="null", run_name=name, queued_at=datetime.now(UTC))
                claims.append((row.id, attempt))
            assert all(self._store.queue.claim_trainings(claims))

        seconds = timed(claim)
        give_back(self._store, [(id, attempt.number) for id, attempt in claims])
        return seconds

    def _record(self, count: int) -> tuple[Round, Round]:
        def one_by_one(write: Callable[[str, int], None]) -> float:
            with running(self._store, 1) as (id,):
                record(self._store, id, 1)

                def epochs() -> None:
                    for epoch in range(1, count + 1):
                        write(id, epoch)

                return timed(epochs)

        return lambda: one_by_one(lambda id, epoch: record(self._store, id, epoch)), lambda: one_by_one(
            self._floor.record
        )


@contextmanager
def running(store: Store, count: int) -> Iterator[list[str]]:
    """Ids of trainings that run, deleted afterwards."""
    trainings, now = [a_waiting(number) for number in range(count)], datetime.now(UTC)
    store.queue.add_trainings(trainings)
    for training in trainings:
        name = run_name(training.id, 1)
        store.queue.claim_training(training.id, Attempt(number=1, cluster="null", run_name=name, queued_at=now))
        store.runs.start_training(training.id, 1, training.id, now)
    yield [training.id for training in trainings]
    for training in trainings:
        store.runs.finish_training(training.id, 1, training.id, now, RunEnd(AttemptOutcome.COMPLETED))
        store.queue.delete_training(training.id)


def record(store: Store, id: str, epoch: int) -> None:
    """An epoch as a run reports it."""
    result = EpochResult(
        epoch=epoch,
        train_loss=1.0 / epoch,
        val_loss=1.5 / epoch,
        metrics={"top1_accuracy": 0.9},
        learning_rate=0.01,
        epoch_seconds=1.25,
        samples_per_second=1000.0,
        finished_at=datetime.now(UTC),
    )
    store.runs.record_epoch(id, 1, 100, result)


def together(database: Database, store: Store, scale: Scale, epochs: int, pause: float) -> None:
    """Many processes record at once; reports their latencies, and how many epochs are missing afterwards."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.benchmarks.filling"])
    barrier = context.Barrier(RUNNERS, timeout=120)  # a runner that dies ends the others
    with running(store, RUNNERS) as ids:
        ends = []
        for id in ids:
            end, other = context.Pipe(duplex=False)
            process = context.Process(target=_runner, args=(database, id, scale.repeats, epochs, pause, barrier, other))
            process.start()
            other.close()
            ends.append((end, process))
        answers: list[dict[str, list[float]]] = [end.recv() for end, _ in ends]
        for _, process in ends:
            process.join()
        expected = list(range(1, scale.repeats * epochs + 1))
        curves = [[r.epoch for r in store.runs.curve(id).items if r.epoch < _FLOOR_EPOCHS] for id in ids]
        shown = [store.trainings.get_training(id).progress for id in ids]
    lost = sum(len(set(expected) - set(curve)) for curve in curves)
    lost += sum(progress is None or progress.epoch != expected[-1] for progress in shown)
    merged = {side: [s * 1000 for answer in answers for s in answer[side]] for side in ("ours", "floor")}
    how = f"each every {pause} s" if pause else "without a pause"
    for percent in (50, 99):
        value, least = (percentile(merged[side], percent) for side in ("ours", "floor"))
        report(f"{RUNNERS} runners record at once, {how}: p{percent}", value, "ms", least, scale)
    report(f"{RUNNERS} runners record at once, {how}: lost", lost, "epochs", scale=scale)


def _runner(
    database: Database, id: str, repeats: int, epochs: int, pause: float, barrier: Barrier, answer: Connection
) -> None:
    store, floor = database.open(), open_floor(database)
    seconds: dict[str, list[float]] = {"ours": [], "floor": []}

    for repeat in range(repeats):
        first = repeat * epochs + 1
        for side in ("floor", "ours"):  # ours last: the floor writes an older progress
            barrier.wait()
            time.sleep(random.random() * pause)
            for epoch in range(first, first + epochs):
                begin = time.perf_counter()
                if side == "ours":
                    record(store, id, epoch)
                else:
                    floor.record(id, _FLOOR_EPOCHS + epoch)
                seconds[side].append(time.perf_counter() - begin)
                time.sleep(pause)
    barrier.wait()
    answer.send(seconds)
    store.close()
    floor.close()


def main() -> None:
    given = arguments(__doc__).parse_args()
    scale = Scale(given.store, given.n, given.repeats)
    with (
        filled(given.store, given.n, given.keep) as database,
        closing(database.open()) as store,
        closing(open_floor(database)) as floor,
    ):
        figures: dict[str, Callable[[], None]] = {
            **Reading(store, floor, scale).figures(),
            **Writing(store, floor, scale).figures(),
            "runners, without a pause": lambda: together(database, store, scale, epochs=10, pause=0),
            "runners, each every 0.5 s": lambda: together(database, store, scale, epochs=4, pause=0.5),
        }
        for name, measure in figures.items():
            if given.only in name:
                measure()


if __name__ == "__main__":
    main()
