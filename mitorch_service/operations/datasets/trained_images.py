"""The images that trainings of the service were trained on."""

from __future__ import annotations

from collections.abc import Set

from mitorch_service.errors import DataError, NotAllowed, NotFound
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.operations.datasets.dataset_split import paths_of
from mitorch_service.stores.base import Store
from mitorch_service.training.data.formats.registry import read_image_list


class TrainedImages:
    """Looks them up by the trainings' data sets, each read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Set[str]] = {}

    def of(self, ref: DatasetRef | None) -> Set[str]:
        """Returns the paths of the images in the split train; none for an unknown data set (None, one that was removed,
        or in blob storage)."""
        if ref is None:
            return frozenset()
        if str(ref) not in self._known:
            self._known[str(ref)] = self._read(ref)
        return self._known[str(ref)]

    def _read(self, ref: DatasetRef) -> Set[str]:
        try:
            paths = paths_of(self._store.datasets.get_dataset(ref))
            images = read_image_list(next(iter(paths.values())), split="train")
        except (NotFound, NotAllowed, DataError):
            return frozenset()
        return {str(images.location(index)) for index in range(len(images))}
