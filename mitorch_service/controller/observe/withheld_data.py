"""Data sets that no run can read now, as a SAS token of theirs has expired."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from mitorch_service.errors import BrokenDocument, NotFound
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import Dataset, DatasetRef
from mitorch_service.stores.base import Store


def read_datasets(store: Store, refs: Iterable[DatasetRef]) -> dict[str, Dataset]:
    """Reads each data set once, by its name and version; leaves out those that are gone or cannot be read, which their
    runs report."""
    wanted = {str(ref): ref for ref in refs if ref != NO_DATASET}
    pinned = [ref for ref in wanted.values() if ref.version is not None]
    found = {str(dataset.ref): dataset for dataset in store.datasets.read_versions(pinned).items}
    for name, ref in wanted.items():
        if ref.version is None:
            with suppress(NotFound, BrokenDocument):
                found[name] = store.datasets.get_dataset(ref)
    return found


def withheld_data(datasets: dict[str, Dataset], now: datetime) -> dict[str, str]:
    """Returns those whose trainings wait, with the reason."""
    reasons = {name: dataset.expired(now) for name, dataset in datasets.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}
