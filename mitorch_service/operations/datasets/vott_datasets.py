"""Registers the data sets of annotation files that the queue consumer has downloaded."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.errors import AlreadyExists
from mitorch_service.models.base import JsonObject
from mitorch_service.models.dataset import DatasetRef, DatasetSplit
from mitorch_service.operations.datasets.dataset_registration import DatasetRegistry, checked_name

_SOURCE = "the annotations"


def register_annotated(
    registry: DatasetRegistry,
    name: str | None,
    digest: str,
    here: Mapping[str, DatasetSplit],
    stored: Mapping[str, DatasetSplit] | None,
    imported_from: JsonObject,
) -> DatasetRef:
    """Returns the version that has these files, registered now or before: those of this machine, or the same ones as
    they are `stored` for all. Without a name it is named by its content, so that no other version is looked at. Raises
    InvalidInput with every problem, StoreUnavailable, StoreError."""
    chosen = f"vott-{digest}" if name is None else checked_name("dataset", name)
    files, read = (here, None) if stored is None else (stored, here)
    try:
        return registry.register_content(_SOURCE, chosen, files, imported_from, read).ref
    except AlreadyExists:  # another consumer was faster with this number
        return registry.register_content(_SOURCE, chosen, files, imported_from, read).ref
