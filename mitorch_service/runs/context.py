"""The context of one run, and of the attempt that it has started."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.backends.node import Node
from mitorch_service.models.base import new_id
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.training.loop.checkpoints.checkpoint_request import CheckpointRequest

START_PATIENCE = 600.0  # seconds to wait for the database before the training
END_PATIENCE = 3600.0  # and after it, when there are results to lose


@dataclass(frozen=True)
class RunContext:
    """Everything that a run reads, writes and obeys, before it has started its attempt."""

    store: Store
    artifacts: ArtifactStore
    clock: Callable[[], datetime]
    stop: threading.Event  # set from outside, by SIGTERM
    dataset_files: DatasetFiles | None = None  # None: a data set from blob storage is kept for this run only
    epoch_ended: Callable[[EpochResult], None] | None = None  # it must return at once and never raise
    undelivered: Path | None = None  # for work that cannot be delivered, if the next run on this machine finds it
    renew: Callable[[], ArtifactStore] | None = None
    worker: str = field(default_factory=new_id)  # the id of this process, by which alone the store lets it write
    gpus: int = 0  # of its node, at least, besides those that the training asks for
    checkpoint: CheckpointRequest | None = None  # by which another thread asks for a last checkpoint
    node: Node = field(default_factory=Node)

    def started(self, training: Training, dataset_files: DatasetFiles, folder: Path) -> AttemptContext:
        """The context of the attempt that this run has started, with a folder of its own."""
        return AttemptContext(
            self.store,
            self.artifacts,
            dataset_files,
            training,
            self.worker,
            self.clock,
            self.stop,
            folder,
            self.epoch_ended,
            self.undelivered,
            self.node,
            self.renew,
            self.checkpoint,
        )


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
    node: Node = field(default_factory=Node)  # where the cluster's users see the run
    renew: Callable[[], ArtifactStore] | None = None  # opens the artifact store with the settings of this moment
    checkpoint: CheckpointRequest | None = None  # by which the process asks for a last checkpoint

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
