"""The database of a simulation: the real SQLite leaf in memory, each call of which may fail, die or be late.

It promises no more than MongoDB does: of several changes each is atomic by itself, and not all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from mitorch_service.errors import BrokenDocument, StoreUnavailable
from mitorch_service.models.base import Document
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import (
    Collection,
    Compaction,
    Guarded,
    Listing,
    Query,
    QueryPlan,
    Removal,
    StoredDocument,
)
from tests.samples import NOW
from tests.simulation.memory_database import MemoryDatabase, Row
from tests.simulation.scheduler import Fate, Scheduler
from tests.simulation.witness import Witness

Result = TypeVar("Result")
Model = TypeVar("Model", bound=Document)
Guards = Callable[[Guarded], Guarded]


class SimulatedDatabase(Primitives):
    """Gives control to the scheduler before each operation, and tells the witness what was written."""

    def __init__(
        self, database: Primitives, scheduler: Scheduler, witness: Witness, refusal: Callable[[], Fate | None]
    ) -> None:
        """`refusal`: whether the next call is refused, before or after it has taken effect."""
        self._inner, self._scheduler, self._witness, self._refusal = database, scheduler, witness, refusal
        self._memory = database if isinstance(database, MemoryDatabase) else None
        self.offset = 0.0  # seconds by which its clock is ahead of that of all machines
        self.guards: Guards = lambda change: change  # a mutant's
        self.puts_without_fence = False
        self.inserts_again = False
        self.removes_all = False

    def prepare(self) -> None:
        self._call("prepare", lambda: None)

    def ping(self) -> str:
        return "simulated"

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._witness.clock() + self.offset)

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        return self._inner.time_limit(seconds)

    def check_writes(self) -> None:
        self._call("check_writes", lambda: None)

    def close(self) -> None:
        pass

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        whole = list(documents)

        def add(some: list[Mapping[str, Any]]) -> int:
            if self.inserts_again:
                for one in some:
                    self._inner.replace(collection, one)
            else:
                some = [one for one in some if not self._has(collection, one["_id"])]
                self._inner.insert(collection, some)
            self._witness.inserted(collection, some)
            return len(some)

        half = (lambda: add(whole[: len(whole) // 2])) if len(whole) > 1 else None
        return self._call(f"insert {collection}", lambda: add(whole), half)

    def find(self, query: Query) -> Iterator[dict[str, Any]]:
        return iter(self._call(f"find {query.collection}", lambda: list(self._inner.find(query))))

    def read(self, model: type[Model], query: Query) -> Listing[Model]:
        if self._memory is None:
            return super().read(model, query)
        listing: Listing[Model] = Listing()
        for row in self._rows(self._memory, query):
            try:
                listing.items.append(row.read(model, query.without))
            except BrokenDocument as broken:
                listing.broken.append(broken)
        return listing

    def read_one(self, model: type[Model], collection: Collection, id: str) -> Model | None:
        if self._memory is None:
            return super().read_one(model, collection, id)
        found = self._rows(self._memory, Query(collection, {"_id": id}, limit=1))
        return found[0].read(model, ()) if found else None

    def count(self, query: Query) -> int:
        return self._call(f"count {query.collection}", lambda: self._inner.count(query))

    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        return self._call("count statuses", lambda: self._inner.count_statuses(job_id))

    def change(self, change: Guarded) -> dict[str, Any] | None:
        after = self._call(f"change {change.collection}", lambda: self._change(change))
        if after is None:
            self._witness.told_of_refusal(change)
        return after

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        def make(some: Sequence[Guarded]) -> list[bool]:
            self._witness.claiming(some)
            return [self._change(change) is not None for change in some]

        if not changes:
            return []
        half = (lambda: make(changes[: len(changes) // 2])) if len(changes) > 1 else None
        return self._call(f"change {len(changes)} {changes[0].collection}", lambda: make(changes), half)

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        def effect() -> bool:
            if self.puts_without_fence:
                self._inner.replace(collection, document)
                done = True
            else:
                done = self._inner.put(collection, document, fence)
            if done:
                self._witness.put(collection, document)
            return done

        return self._call(f"put {collection}", effect)

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        self._call(f"replace {collection}", lambda: self._inner.replace(collection, document))

    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]], document: StoredDocument
    ) -> bool:
        return self._call(f"adopt {collection}", lambda: self._inner.adopt(collection, id, expect, document))

    def mend(self, collection: Collection, id: object) -> bool:
        return self._inner.mend(collection, id)

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        return self._call(f"remove {collection}", lambda: self._inner.remove(collection, id, expect))

    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        self._call(f"raise {field}", lambda: self._inner.raise_between(collection, low, high, field, least))

    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None = None) -> int:
        unless = None if self.removes_all else unless
        return self._call(f"remove {collection}", lambda: self._inner.remove_between(collection, low, high, unless))

    def remove_all(self, removals: Sequence[Removal]) -> int:
        return self._call("remove", lambda: self._inner.remove_all(removals))

    def compact(self, wait: Callable[[], object]) -> Compaction:
        return self._inner.compact(wait)

    def scan(self, collection: Collection) -> Iterator[StoredDocument]:
        return self._inner.scan(collection)

    def explain(self, query: Query) -> QueryPlan:
        return self._inner.explain(query)

    def _change(self, change: Guarded) -> StoredDocument | None:
        change = self.guards(change)
        self._witness.before_change(change)
        after = self._inner.change(change)
        self._witness.changed(change, after)
        return after

    def _rows(self, database: MemoryDatabase, query: Query) -> list[Row]:
        return self._call(f"find {query.collection}", lambda: database.rows(query))

    def _has(self, collection: Collection, id: object) -> bool:
        return self._inner.count(Query(collection, {"_id": id})) > 0

    def _call(self, label: str, effect: Callable[[], Result], half: Callable[[], object] | None = None) -> Result:
        if self._scheduler.current is None:
            return effect()

        def guarded() -> Result:
            refusal = self._refusal()
            if refusal is None:
                return effect()
            if refusal is Fate.FAILS_AFTER:
                effect()
            raise _unavailable()

        return self._scheduler.call(label, guarded, _unavailable, half)


def _unavailable() -> Exception:
    return StoreUnavailable("of the simulation", "does not answer", "Wait.")
