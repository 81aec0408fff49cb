"""Verbs of callbacks: what other programs are to be told of trainings that they asked for, until it is delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.callback import Callback, due_at
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Query

_NOT_NEEDED = ("config", "tags", "resources")


class CallbackVerbs(Verbs):
    """Keeps callbacks, each of which one process at a time looks after: it moves `due` behind its lease."""

    def add_callback(self, callback: Callback) -> bool:
        """Adds it before its training. False if there is one with its id, which stays as it is."""
        return self._database.insert("callbacks", [callback.to_document()]) == 1

    def reject_callback(self, training_id: str, reason: str) -> bool:
        """Notes why no training follows. False if there is no such callback."""
        return self._database.change(Guarded("callbacks", training_id, {}, {"rejected": reason})) is not None

    def find_callback(self, training_id: str) -> Callback | None:
        """Returns the callback of a training, or None."""
        return self._database.read_one(Callback, "callbacks", training_id)

    def due_callbacks(self, now: datetime, limit: int) -> list[Callback]:
        """Returns those that are to be looked at, in the order in which they fell due; damaged ones are removed."""
        query = Query("callbacks", between=("due", 0, due_at(now) + 1), order=(("due", 1), ("_id", 1)), limit=limit)
        listing = self._database.read(Callback, query)
        for broken in listing.broken:
            self._database.remove("callbacks", broken.key, {})
        return listing.items

    def count_callbacks(self) -> int:
        """Counts those that are not delivered."""
        return self._database.count(Query("callbacks", between=("due", 0, 2**62)))

    def lease_callback(self, callback: Callback, until: datetime) -> Callback | None:
        """Takes the right to deliver until a time; returns the callback with its lease, or None if another process
        was faster."""
        due = due_at(until)
        change = Guarded("callbacks", callback.id, {"due": (callback.due,)}, {"due": due})
        return None if self._database.change(change) is None else callback.model_copy(update={"due": due})

    def record_callback(self, callback: Callback, changes: Mapping[str, object]) -> Callback | None:
        """Records what was delivered, or when it is due next. None if the lease ran out and another process has it."""
        change = Guarded("callbacks", callback.id, {"due": (callback.due,)}, changes)
        if self._database.change(change) is None:
            return None
        return callback.model_copy(update=dict(changes))

    def remove_callback(self, callback: Callback) -> bool:
        """Removes one of which nothing is left to deliver. False if another process has its lease."""
        return self._database.remove("callbacks", callback.id, {"due": (callback.due,)})

    def trainings_of(self, callbacks: Sequence[Callback]) -> dict[str, TrainingRow | BrokenDocument]:
        """Returns the trainings of callbacks by id, without those that were deleted."""
        found: dict[str, TrainingRow | BrokenDocument] = {}
        if not callbacks:
            return found
        query = Query("trainings", {"_id": tuple(one.id for one in callbacks)}, without=_NOT_NEEDED)
        for document in self._database.find(query):
            try:
                found[document["_id"]] = TrainingRow.from_document(document)
            except BrokenDocument as broken:
                found[document["_id"]] = broken
        return found
