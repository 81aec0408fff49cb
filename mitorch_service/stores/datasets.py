"""Verbs of the data set registry."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.errors import AlreadyExists, BrokenDocument, NotFound
from mitorch_service.models.dataset import Dataset, DatasetRef, dataset_id
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Listing, Query

_IDS_AT_ONCE = 400


class DatasetVerbs(Verbs):
    """The registry: a registered version never changes, but for its SAS tokens and the leaks found in it."""

    def add_dataset(self, dataset: Dataset) -> None:
        """Registers a version. Raises AlreadyExists if it is registered."""
        if self._database.insert("datasets", [dataset.to_document()]) == 0:
            raise AlreadyExists("Data set", dataset.id, "Register it under the next version number.")

    def renew_tokens(self, dataset: Dataset) -> None:
        """Replaces the SAS tokens of a registered version. Raises NotFound."""
        tokens = [token.to_document() for token in dataset.sas_tokens]
        if self._database.change(Guarded("datasets", dataset.id, {}, {"sas_tokens": tokens})) is None:
            raise NotFound("data set", dataset.id)

    def record_leaks(self, dataset: Dataset) -> None:
        """Replaces what is known of the images that its splits share. Raises NotFound."""
        contents = dataset.to_document()["contents"]
        if self._database.change(Guarded("datasets", dataset.id, {}, {"contents": contents})) is None:
            raise NotFound("data set", dataset.id)

    def get_dataset(self, ref: DatasetRef) -> Dataset:
        """Returns that version, or the newest if `ref` names none. Raises NotFound naming what is registered."""
        if ref.version is not None:
            found = self._database.read_one(Dataset, "datasets", dataset_id(ref.name, ref.version))
        else:
            query = Query("datasets", {"name": ref.name}, order=(("version", -1),), limit=1)
            found = next(iter(self._database.read(Dataset, query).items), None)
        if found is None:
            raise NotFound("data set", str(ref), f"Registered: {', '.join(self._names()) or 'none'}.")
        return found

    def read_versions(self, refs: Sequence[DatasetRef]) -> Listing[Dataset]:
        """Returns those of these pinned versions that are registered, in no order."""
        ids = sorted({dataset_id(ref.name, ref.version) for ref in refs if ref.version is not None})
        found: Listing[Dataset] = Listing()
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = tuple(ids[start : start + _IDS_AT_ONCE])
            part = self._database.read(Dataset, Query("datasets", {"_id": some}))
            found.items.extend(part.items)
            found.broken.extend(part.broken)
        return found

    def list_datasets(self) -> Listing[Dataset]:
        """Returns all versions by name, the newest first, without their contents."""
        query = Query("datasets", order=(("name", 1), ("version", -1)), without=("contents",))
        return self._database.read(Dataset, query)

    def versions_of(self, name: str, limit: int) -> list[Dataset]:
        """Returns the newest versions of one data set, the newest first, without their contents; those that cannot be
        read left out."""
        query = Query("datasets", {"name": name}, order=(("version", -1),), limit=limit, without=("contents",))
        return self._database.read(Dataset, query).items

    def remove_dataset(self, ref: DatasetRef) -> None:
        """Removes one version from the registry; its files stay. Raises NotFound."""
        try:
            id = self.get_dataset(ref).id
        except BrokenDocument as broken:  # nobody can use it
            id = broken.key
        self._database.remove("datasets", id, {})

    def _names(self) -> list[str]:
        return [str(dataset.ref) for dataset in self.list_datasets().items]
