"""The few operations that a database must offer; everything else is written once, on top of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TypeVar

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.base import Document
from mitorch_service.models.training import TrainingRow
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

Model = TypeVar("Model", bound=Document)


class Primitives(ABC):
    """Single-document atomic operations only: what every MongoDB-compatible service and SQLite can do.

    Every method raises StoreUnavailable when the database cannot be reached (the same call may succeed later) and
    StoreError for anything else that the driver reports. Documents are plain values with an `_id`.
    """

    @abstractmethod
    def prepare(self) -> None:
        """Creates collections and indexes where they are missing. Called before the first write; idempotent."""

    @abstractmethod
    def ping(self) -> str:
        """Returns the engine and its version, once it has answered."""

    def now(self) -> datetime:
        """Returns the time by the database's clock; without one, by this machine's. Never raises."""
        return datetime.now(UTC)

    @abstractmethod
    def check_writes(self) -> None:
        """Writes something of no effect into a prepared database, to see whether it can be written."""

    @abstractmethod
    def close(self) -> None:
        """Gives the connections back. The store is of no use afterwards."""

    @abstractmethod
    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        """Ends the calls that this thread makes meanwhile after so many seconds in all, and none is repeated for
        longer: they raise QueryTimedOut. For reads only: a write that is ended may have been made."""

    @abstractmethod
    def insert(self, collection: Collection, documents: Iterable[Mapping[str, object]]) -> int:
        """Adds those whose `_id` is not there yet, each wholly or not at all; returns how many were added."""

    @abstractmethod
    def find(self, query: Query) -> Iterator[StoredDocument]:
        """Yields the documents, in the query's order."""

    @abstractmethod
    def scan(self, collection: Collection) -> Iterator[StoredDocument]:
        """Yields every document of a collection in the order of `_id`, whatever its type, holding a thousand or so at a
        time. One that is added or deleted meanwhile may be among them or not."""

    @abstractmethod
    def count(self, query: Query) -> int:
        """Returns how many documents the query has; its order and limit do not matter."""

    @abstractmethod
    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        """Returns how many trainings are in each status, of all or of one job; statuses without any are left out."""

    @abstractmethod
    def change(self, change: Guarded) -> StoredDocument | None:
        """Makes the change in one atomic step. Returns the document after it without its `config`, or None if
        it does not exist or a guard refused."""

    @abstractmethod
    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        """Makes each change, guarded by itself, in as few steps as the engine allows; returns which were made."""

    @abstractmethod
    def put(self, collection: Collection, document: Mapping[str, object], fence: str) -> bool:
        """Writes the whole document under its `_id`, unless the stored one has a higher value in the field `fence`:
        then returns False."""

    def change_then_put(
        self, change: Guarded, collection: Collection, document: Mapping[str, object], fence: str
    ) -> StoredDocument | None:
        """`change`, and only if it was made `put`: in one step where the engine can, else one after the other. Returns
        the changed document, or None if either was refused."""
        after = self.change(change)
        return after if after is not None and self.put(collection, document, fence) else None

    @abstractmethod
    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        """Sets a number in the documents with low <= `_id` < high in which it is lower or missing, each in one atomic
        step. A document that cannot be read stays as it is."""

    @abstractmethod
    def replace(self, collection: Collection, document: Mapping[str, object]) -> None:
        """Stores the whole document in the place of whatever has its `_id`, or anew."""

    @abstractmethod
    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[object, ...]], document: StoredDocument
    ) -> bool:
        """Puts a document of ours in the place of one under `id` that another program inserted and that nobody has
        counted; returns whether the guard held. Fields that ours lacks stay. One of ours with another `_id` is added
        before the foreign one is removed, so that a death in between loses nothing and repeating it adds nothing."""

    def mend(self, collection: Collection, id: object) -> bool:
        """Stores what can be read of a document whose stored text is none, marked as DAMAGED, so that it can be
        changed again. False if it is none of these (a server that checks what it stores has none)."""
        return False

    def keys_of(self, text: str) -> tuple[object, ...]:
        """Returns the values of an `_id` that people write so."""
        return (text,)

    @abstractmethod
    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[object, ...]]) -> bool:
        """Deletes one document if the guard holds; returns whether it did."""

    @abstractmethod
    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None = None) -> int:
        """Deletes the documents with low <= `_id` < high; returns how many. `unless`: a field and the number from which
        on a document with it stays."""

    @abstractmethod
    def remove_all(self, removals: Sequence[Removal]) -> int:
        """Deletes each document whose guard holds, and its records; returns how many documents. Whatever interrupts
        it, no record is left behind without its document. Where the engine cannot take both away in one step the
        records go first, so that a guard that fails in that moment costs the document its records."""

    @abstractmethod
    def compact(self, wait: Callable[[], object]) -> Compaction:
        """Gives the space of deleted documents back to the file system, in steps between which others write; `wait` is
        called after each. Corrects what the store keeps counted, if that can have gone wrong."""

    @abstractmethod
    def explain(self, query: Query) -> QueryPlan:
        """Returns how the engine would run the query."""

    def read_one(self, model: type[Model], collection: Collection, id: str) -> Model | None:
        """Returns the document with this id, or None. Raises BrokenDocument if it cannot be read as a `model`."""
        found = next(iter(self.find(Query(collection, {"_id": id}, limit=1))), None)
        return None if found is None else model.from_document(found)

    def read(self, model: type[Model], query: Query) -> Listing[Model]:
        """Returns all documents of the query, the unreadable ones apart."""
        listing: Listing[Model] = Listing()
        for document in self.find(query):
            try:
                listing.items.append(model.from_document(document))
            except BrokenDocument as broken:
                listing.broken.append(broken)
        return listing


class Verbs:
    """The operations of one domain, over one database."""

    def __init__(self, database: Primitives) -> None:
        self._database = database

    def _row_of_attempt(self, training_id: str, attempt: int) -> TrainingRow | None:
        """Returns the training as it is now; None if it cannot be read, or this attempt is not its current one."""
        query = Query("trainings", {"_id": training_id}, limit=1, without=("config", "error"))
        rows = self._database.read(TrainingRow, query).items
        return next((row for row in rows if row.attempt == attempt and row.current_attempt() is not None), None)
