"""Verbs of labels: names, tags and notes of trainings and jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mitorch_service.errors import NotAllowed, NotFound
from mitorch_service.models.fair_share.share import shares_of
from mitorch_service.stores.newer_documents import check_known
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Collection, Guarded, Query, StoredDocument
from mitorch_service.stores.verbs.trainings import Kind

_COLLECTIONS: dict[Kind, Collection] = {"training": "trainings", "job": "jobs"}
_WITHOUT_BULK = ("config", "error", "attempts", "trial", "search", "front")
_TRIES = 5  # when somebody else changes the same tags at that moment


class LabelVerbs(Verbs):
    """Changes labels, whatever the status is: nothing but people reads them."""

    def set_label(self, kind: Kind, id: str, field: str, text: str | None) -> None:
        """Sets `name` or `user_note`; None takes it away. Raises NotFound, NewerDocument."""
        if self._database.change(Guarded(_COLLECTIONS[kind], id, {}, {field: text})) is None:
            self._read(kind, id)
            raise NotFound(kind, id)

    def change_tags(self, kind: Kind, id: str, change: Callable[[Sequence[str]], list[str]]) -> list[str]:
        """Replaces the tags by what `change` makes of them; returns these. Raises NotFound, NewerDocument; NotAllowed
        if others change them all the time."""
        for _ in range(_TRIES):
            document = self._read(kind, id)
            before = document.get("tags")
            after = change(before or [])
            if after == (before or []):
                return after
            changes: dict[str, object] = {"tags": after}
            if kind == "training":
                changes["shares"] = shares_of(after, document.get("submitted_by"))
            if self._database.change(Guarded(_COLLECTIONS[kind], id, {"tags": (before,)}, changes)) is not None:
                return after
        raise NotAllowed(kind, id, "being changed by others", "tagged", "Try again.")

    def _read(self, kind: Kind, id: str) -> StoredDocument:
        query = Query(_COLLECTIONS[kind], {"_id": id}, limit=1, without=_WITHOUT_BULK)
        for document in self._database.find(query):
            return check_known(kind, _COLLECTIONS[kind], document)
        raise NotFound(kind, id)
