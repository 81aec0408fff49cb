"""Simulated runs for the load benchmark: the verbs that a run calls, when it would call them, many runs a process."""

from __future__ import annotations

import heapq
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mitorch_service.models.status import AttemptOutcome
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.benchmarks.filling import Database
from tests.benchmarks.load_cluster import FolderCluster
from tests.samples import a_result

HEARTBEAT_SECONDS = 30.0
EPOCH_SECONDS = 10.0
_LOOK_SECONDS = 1.0


@dataclass
class Measured:
    """Figures of the runs of one process, in seconds."""

    heartbeats: list[float] = field(default_factory=list)
    records: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)  # of a call, behind the time at which it was due
    acknowledged: dict[str, int] = field(default_factory=dict)  # epochs by training
    refused: list[str] = field(default_factory=list)  # why, of every call that raised


class Runs:
    """The runs of one of several processes: those whose names it draws."""

    def __init__(self, store: Store, cluster: FolderCluster, part: int, parts: int, epochs: int) -> None:
        self._store, self._cluster = store, cluster
        self._part, self._parts, self._epochs = part, parts, epochs
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._known: set[str] = set()
        self._calls = 0
        self.measured = Measured()

    def run(self, until: float) -> None:
        """Makes the calls as they become due, by the monotonic clock."""
        looked = 0.0
        while (now := time.monotonic()) < until:
            if now - looked > _LOOK_SECONDS:
                looked = now
                self._take_up(now)
            if self._due and self._due[0][0] <= now:
                due, _, call = heapq.heappop(self._due)
                self.measured.lateness.append(now - due)
                try:
                    call()
                except Exception as error:  # counted: nothing may be refused  # noqa: BLE001
                    self.measured.refused.append(f"{type(error).__name__}: {error}")
            else:
                time.sleep(0.005)

    def _take_up(self, now: float) -> None:
        for name in self._cluster.living():
            if name not in self._known and zlib.crc32(name.encode()) % self._parts == self._part:
                self._known.add(name)
                self._at(now, lambda name=name: self._start(name))  # type: ignore[misc]

    def _at(self, due: float, call: Callable[[], None]) -> None:
        self._calls += 1
        heapq.heappush(self._due, (due, self._calls, call))

    def _start(self, name: str) -> None:
        id, attempt = attempt_of(name)
        self._store.runs.start_training(id, attempt, f"worker of {name}", datetime.now(UTC))
        now = time.monotonic()
        self._at(now + EPOCH_SECONDS, lambda: self._record(name, id, attempt, 1))
        self._at(now + HEARTBEAT_SECONDS, lambda: self._beat(name, id, attempt))

    def _record(self, name: str, id: str, attempt: int, epoch: int) -> None:
        begin = time.monotonic()
        self._store.runs.record_epoch(id, attempt, self._epochs, a_result(epoch))
        self.measured.records.append(time.monotonic() - begin)
        self.measured.acknowledged[id] = epoch
        if epoch < self._epochs:
            self._at(begin + EPOCH_SECONDS, lambda: self._record(name, id, attempt, epoch + 1))
            return
        end = RunEnd(AttemptOutcome.COMPLETED, {"top1_accuracy": 0.9})
        self._store.runs.finish_training(id, attempt, f"worker of {name}", datetime.now(UTC), end)
        self._known.discard(name)
        self._cluster.end(name)

    def _beat(self, name: str, id: str, attempt: int) -> None:
        if name not in self._known:
            return
        begin = time.monotonic()
        self._store.runs.heartbeat(id, attempt, datetime.now(UTC))
        self.measured.heartbeats.append(time.monotonic() - begin)
        self._at(begin + HEARTBEAT_SECONDS, lambda: self._beat(name, id, attempt))


def attempt_of(name: str) -> tuple[str, int]:
    """The training and the number of the attempt whose run has this name."""
    id, _, attempt = name.removeprefix("mt-").rpartition("-a")
    return id, int(attempt)


def run(database: Database, folder: Path, part: int, parts: int, epochs: int, seconds: float, slots: int) -> Measured:
    """Makes the calls of a part of the runs for so many seconds, in this process."""
    store = database.open()
    try:
        runs = Runs(store, FolderCluster(folder, slots), part, parts, epochs)
        runs.run(time.monotonic() + seconds)
        return runs.measured
    finally:
        store.close()
