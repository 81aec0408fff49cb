"""The context of one attempt: the training and everything that its run reads, writes and obeys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently

START_PATIENCE = 600.0  # seconds to wait for the database before the training
END_PATIENCE = 3600.0  # and after it, when there are results to lose


@dataclass(frozen=True)
class AttemptContext:
    """The surroundings of a started attempt, the same from its start to its end."""

    store: Store
    artifacts: ArtifactStore
    dataset_files: DatasetFiles
    training: Training  # as it was when this attempt started; `training.attempt` is its number
    worker: str  # a random id of this process: the store refuses every other one
    clock: Callable[[], datetime]
    stop: threading.Event  # set from outside (SIGTERM), or once a person, a search or another attempt ends this one
    folder: Path  # of this attempt alone, deleted after it
    epoch_ended: Callable[[EpochResult], None] | None = None  # receives each epoch's result as well as the store
    undelivered: Path | None = None  # where finished work is kept that cannot be delivered; None: nowhere
    renew: Callable[[], ArtifactStore] | None = None  # opens the artifact store with the settings of this moment

    @property
    def log_file(self) -> Path:
        return self.folder / "log.txt"

    def get_dataset(self) -> Dataset:
        """The training's data set. Raises NotFound, StoreError."""
        return persistently(lambda: self.store.datasets.get_dataset(self.training.dataset), START_PATIENCE)

    def put_file(self, name: str, file: Path) -> str:
        """Uploads a file as the training's artifact `name` and returns its address. Raises ArtifactError."""
        return self.artifacts.put(f"{self.training.id}/{name}", file)

    def put_attempt_file(self, name: str, file: Path) -> str:
        """Uploads a file that belongs to this attempt only and returns its address. Raises ArtifactError."""
        return self.put_file(f"attempt-{self.training.attempt}/{name}", file)
