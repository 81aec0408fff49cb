"""Verbs of documents that cannot be read: finding, replacing and removing them, whatever they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mitorch_service.errors import NotFound
from mitorch_service.stores.newer_documents import check_known
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Collection, Query, StoredDocument
from mitorch_service.stores.verbs.trainings import Kind, TrainingVerbs

_COLLECTIONS: Mapping[Kind, Collection] = {"training": "trainings", "job": "jobs"}
_RECORDS: Mapping[Kind, Collection] = {"training": "training_results", "job": "rungs"}


@dataclass(frozen=True)
class Found:
    """A training or job as it is stored."""

    kind: Kind
    key: object  # its `_id`
    document: StoredDocument


class DamagedVerbs(Verbs):
    """Reads and writes documents as they are stored. The guards are the caller's: nothing is expected of a document
    that cannot be read."""

    def find(self, id: str) -> Found:
        """Returns the training or job with this id, which may be of another type or form than ours, or the one whose
        id begins so. Raises NotFound, AmbiguousId; NewerDocument, which is not for this version to repair or delete."""
        for kind, collection in _COLLECTIONS.items():
            for document in self._database.find(Query(collection, {"_id": self._database.keys_of(id)}, limit=1)):
                return Found(kind, document["_id"], check_known(kind, collection, document))
        kind, whole = TrainingVerbs(self._database).resolve_id(id)
        found = next(iter(self._database.find(Query(_COLLECTIONS[kind], {"_id": whole}, limit=1))), None)
        if found is None:
            raise NotFound(kind, whole)
        return Found(kind, whole, check_known(kind, _COLLECTIONS[kind], found))

    def replace(self, kind: Kind, document: Mapping[str, object]) -> None:
        """Stores a document in the place of the damaged one with its `_id`."""
        self._database.replace(_COLLECTIONS[kind], document)

    def remove(self, kind: Kind, key: object) -> bool:
        """Deletes a document with its epochs or rungs; False if it was gone."""
        self._database.remove_between(_RECORDS[kind], f"{key}:", f"{key};")
        return self._database.remove(_COLLECTIONS[kind], key, {})
