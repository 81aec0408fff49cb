"""Stand-ins for what tests cannot have: a cluster that obeys at once, and a database that fails when told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.optional import LiveRun, RunListing
from mitorch_service.errors import ArtifactError, BackendUnavailable, NoCapacity, RunRefused
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources, run_name
from mitorch_service.stores.base import Store
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Collection, Compaction, Guarded, Query, QueryPlan, Removal
from tests.samples import NOW


class FakeBackend(Backend):
    """Runs that never execute anything: they run from their submission until `end`."""

    def __init__(self, cluster: str = "fake", slots: int = 2, gpus: int | None = None) -> None:
        """`slots`: its nodes, of `gpus` each."""
        self.cluster, self.slots, self.gpus = cluster, slots, gpus
        self.nodes: Counter[str] = Counter()  # that each run takes
        self.runs: dict[str, RunStatus] = {}
        self.starts: Counter[str] = Counter()
        self.cancels: list[str] = []
        self.log_texts: dict[str, str] = {}
        self.down = False  # whether every call raises BackendUnavailable
        self.refuses: dict[str, RunRefused] = {}  # by a part of a run's name

    def running(self) -> list[str]:
        """The names of the runs that have not ended."""
        return [name for name, status in self.runs.items() if status.state == RunState.RUNNING]

    def end(self, name: str, state: RunState, reason: str | None = None, exit_code: int | None = None) -> None:
        """Sets the status that the cluster reports for the run from now on."""
        self.runs[name] = RunStatus(state, reason, exit_code)

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        needed = resources or Resources()
        command = ("fake", "run", training_id, "--attempt", str(attempt))
        return RunRequest(run_name(training_id, attempt), command, needed.nodes, needed.gpus)

    def submit(self, request: RunRequest) -> str | None:
        self._answer()
        if request.name not in self.runs:
            for part, refusal in self.refuses.items():
                if part in request.name:
                    raise refusal
            if self._free() < request.nodes:
                raise NoCapacity(self.cluster)
            self.starts[request.name] += 1
            self.nodes[request.name] = request.nodes
            self.end(request.name, RunState.RUNNING)
        return f"https://{self.cluster}.example/{request.name}"

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        self._answer()
        return {name: self.runs.get(name) for name in names}

    def cancel(self, name: str) -> None:
        self._answer()
        self.cancels.append(name)
        if name in self.running():
            self.end(name, RunState.KILLED, "it was killed by SIGTERM")

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        self._answer()
        return self.log_texts.get(name, "")[-max_bytes:]

    def capacity(self) -> Capacity:
        self._answer()
        return Capacity(self.slots, max(0, self._free()), self.gpus)

    def _free(self) -> int:
        return self.slots - sum(self.nodes[name] for name in self.running())

    def _answer(self) -> None:
        if self.down:
            raise BackendUnavailable(self.cluster, "it does not answer", "Wait.")


class ListingBackend(FakeBackend, RunListing):
    """A cluster that can list its runs, which began at the same time."""

    def live_runs(self) -> list[LiveRun]:
        self._answer()
        return [LiveRun(name, self.nodes[name], NOW) for name in self.running()]


class FullStore(FolderArtifactStore):
    """A folder of artifacts in which nothing more can be stored under keys that contain `refuses`, until that is
    None."""

    refuses: str | None = None

    def put(self, key: str, source: Path) -> str:
        if self.refuses is not None and self.refuses in key:
            raise ArtifactError(key, "the folder", "No space left on device")
        return super().put(key, source)


def primitives(store: Store) -> Primitives:
    """The database below a store, which only tests reach: to write what no verb writes, or to look at queries."""
    return store._database


class HookedStore(Store):
    """Another store, with a function of the test's called before each operation of its database: it may look, change
    something behind the caller's back, or raise."""

    def __init__(self, store: Store, before: Callable[[str], None]) -> None:
        """`before` gets the name of the operation: ``find``, ``change``, …"""
        super().__init__(HookedDatabase(primitives(store), before))


class HookedDatabase(Primitives):
    """The database of a HookedStore."""

    def __init__(self, database: Primitives, before: Callable[[str], None]) -> None:
        self._database, self._before = database, before

    def prepare(self) -> None:
        self._before("prepare")
        self._database.prepare()

    def ping(self) -> str:
        self._before("ping")
        return self._database.ping()

    def now(self) -> datetime:
        return self._database.now()

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        return self._database.time_limit(seconds)

    def check_writes(self) -> None:
        self._before("check_writes")
        self._database.check_writes()

    def close(self) -> None:
        self._database.close()

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        self._before("insert")
        return self._database.insert(collection, documents)

    def find(self, query: Query) -> Iterator[dict[str, Any]]:
        self._before("find")
        return iter(list(self._database.find(query)))

    def scan(self, collection: Collection) -> Iterator[dict[str, Any]]:
        self._before("scan")
        return self._database.scan(collection)

    def count(self, query: Query) -> int:
        self._before("count")
        return self._database.count(query)

    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        self._before("count")
        return self._database.count_statuses(job_id)

    def change(self, change: Guarded) -> dict[str, Any] | None:
        self._before("change")
        return self._database.change(change)

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        return [self.change(change) is not None for change in changes]

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        self._before("put")
        return self._database.put(collection, document, fence)

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        self._before("replace")
        self._database.replace(collection, document)

    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]], document: dict[str, Any]
    ) -> bool:
        self._before("adopt")
        return self._database.adopt(collection, id, expect, document)

    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        self._before("raise_between")
        self._database.raise_between(collection, low, high, field, least)

    def mend(self, collection: Collection, id: object) -> bool:
        return self._database.mend(collection, id)

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        self._before("remove")
        return self._database.remove(collection, id, expect)

    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None = None) -> int:
        self._before("remove_between")
        return self._database.remove_between(collection, low, high, unless)

    def remove_all(self, removals: Sequence[Removal]) -> int:
        self._before("remove_all")
        return self._database.remove_all(removals)

    def compact(self, wait: Callable[[], object]) -> Compaction:
        self._before("compact")
        return self._database.compact(wait)

    def explain(self, query: Query) -> QueryPlan:
        self._before("explain")
        return self._database.explain(query)
