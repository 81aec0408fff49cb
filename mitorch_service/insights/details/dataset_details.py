"""Data sets as programs read them: from the API, or from the Python client."""

from __future__ import annotations

from pydantic import Field

from mitorch_service.insights.details.values import Detail, Time, masked
from mitorch_service.models.dataset import Dataset, DatasetRef
from mitorch_service.stores.base import Store


class SplitDetails(Detail):
    """One split of a data set."""

    path: str = Field(description="Of its file or folder, credentials masked.")
    kind: str | None = Field(description="multiclass, multilabel or detection; null: not read at registration.")
    images: int | None = Field(description="Null: not read at registration.")
    classes: dict[str, int] = Field(description="Images of each class (detection: boxes), of the first classes.")


class DatasetDetails(Detail):
    """A version of a data set."""

    id: str = Field(description="NAME:VERSION.")
    name: str = Field(description="Its name.")
    version: int = Field(description="Its version.")
    created_at: Time = Field(description="When it was registered.")
    splits: dict[str, SplitDetails] = Field(description="train, val and perhaps test.")


def dataset_list(store: Store) -> list[DatasetDetails]:
    """Reads all versions by name, the newest first, without their contents."""
    return [_details(dataset) for dataset in store.datasets.list_datasets().items]


def dataset_details(store: Store, ref: DatasetRef) -> DatasetDetails:
    """Reads a version, the newest if none is named. Raises NotFound, BrokenDocument."""
    return _details(store.datasets.get_dataset(ref))


def _details(dataset: Dataset) -> DatasetDetails:
    fields = dataset.model_dump(include={"id", "name", "version", "created_at"})
    splits = {}
    for name, split in dataset.splits().items():
        contents = dataset.contents.get(name)
        counts = {one.name: one.count for one in contents.counts} if contents else {}
        splits[name] = {
            "path": split.path,
            "kind": contents.kind if contents else None,
            "images": contents.images if contents else None,
            "classes": counts,
        }
    return DatasetDetails.model_validate(masked({**fields, "splits": splits}))
