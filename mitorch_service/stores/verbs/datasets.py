"""Verbs of the data set registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mitorch_service.errors import AlreadyExists, BrokenDocument, NewerDocument, NotFound
from mitorch_service.models.dataset import Dataset, DatasetRef, dataset_id
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Listing, Query

_IDS_AT_ONCE = 400


class DatasetVerbs(Verbs):
    """The registry: a registered version never changes, but for its SAS tokens and the leaks found in it."""

    def add_dataset(self, dataset: Dataset) -> None:
        """Registers a version. Raises AlreadyExists if it is registered."""
        same = Query("datasets", {"name": dataset.name, "version": dataset.version}, limit=1)
        if (
            any(True for _ in self._database.find(same))
            or self._database.insert("datasets", [dataset.to_document()]) == 0
        ):
            raise AlreadyExists("Data set", dataset.id, "Register it under the next version number.")

    def renew_tokens(self, dataset: Dataset) -> None:
        """Replaces the SAS tokens of a registered version. Raises NotFound."""
        tokens = [token.to_document() for token in dataset.sas_tokens]
        self._change(dataset, {"sas_tokens": tokens})

    def record_leaks(self, dataset: Dataset) -> None:
        """Replaces what is known of the images that its splits share. Raises NotFound."""
        contents = dataset.to_document()["contents"]
        self._change(dataset, {"contents": contents})

    def get_dataset(self, ref: DatasetRef) -> Dataset:
        """Returns that version, or the newest if `ref` names none. Raises NotFound naming what is registered."""
        if ref.version is not None:
            found = self._database.read_one(Dataset, "datasets", dataset_id(ref.name, ref.version))
            found = found or self._inserted_by_hand(ref)
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
        for id in {*ids} - {dataset.id for dataset in found.items} - {str(broken.key) for broken in found.broken}:
            by_hand = self._inserted_by_hand(DatasetRef.parse(id))
            found.items.extend([by_hand] if by_hand is not None else [])
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
        """Removes one version from the registry; its files stay. Raises NotFound, NewerDocument."""
        try:
            id = self.get_dataset(ref).key
        except NewerDocument:
            raise
        except BrokenDocument as broken:  # nobody can use it
            id = broken.key
        self._database.remove("datasets", id, {})

    def remove_unreadable(self, key: str) -> bool:
        """Removes a document that cannot be read, whatever it names, by its `_id`; False if there is none. Raises
        NewerDocument."""
        found = self._database.read(Dataset, Query("datasets", {"_id": self._database.keys_of(key)}, limit=1))
        for newer in (one for one in found.broken if isinstance(one, NewerDocument)):
            raise newer
        return any([self._database.remove("datasets", broken.key, {}) for broken in found.broken])

    def _inserted_by_hand(self, ref: DatasetRef) -> Dataset | None:
        """A version that another program inserted, under an `_id` of its own. Raises BrokenDocument."""
        query = Query("datasets", {"name": ref.name, "version": ref.version}, limit=1)
        listing = self._database.read(Dataset, query)
        if listing.broken:
            raise listing.broken[0]
        return listing.items[0] if listing.items else None

    def _change(self, dataset: Dataset, changes: Mapping[str, object]) -> None:
        """Changes a registered version. Raises NotFound."""
        for one in (dataset, self._inserted_by_hand(dataset.ref)):
            if one is not None and self._database.change(Guarded("datasets", one.key, {}, changes)) is not None:
                return
        raise NotFound("data set", dataset.id)

    def _names(self) -> list[str]:
        return [str(dataset.ref) for dataset in self.list_datasets().items]
