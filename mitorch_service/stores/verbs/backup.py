"""Verbs of backups: every document of a database, as it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mitorch_service.models.schema_versions import upgraded
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Collection, StoredDocument

# In the order in which they are put back: a training never without its curve, a job never without its trials, which it
# would create anew; and no event is sent before what it tells of is there.
COLLECTIONS: tuple[Collection, ...] = (
    "datasets",
    "training_results",
    "rungs",
    "trainings",
    "jobs",
    "views",
    "controllers",
    "notifications",
    "callbacks",
)


class BackupVerbs(Verbs):
    """Reads and adds documents of any collection, whatever is in them."""

    def documents(self, collection: Collection) -> Iterator[StoredDocument]:
        """Yields all documents of a collection, in the order of their ids, a part at a time."""
        return self._database.scan(collection)

    def add(self, collection: Collection, documents: Sequence[StoredDocument]) -> int:
        """Adds those whose id is not in the database, in today's form; returns how many."""
        return self._database.insert(collection, [upgraded(collection, one) for one in documents])
