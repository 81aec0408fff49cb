"""A machine that runs attempts of trainings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.node import Node
from mitorch_service.models.dataset import Dataset, DatasetSplit
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.context import RunContext
from mitorch_service.runs.machine import MACHINE
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.training.loop.checkpoints.checkpoint_request import CheckpointRequest
from tests.samples import CONFIG, NOW, a_training, an_attempt, later
from tests.unit.training.pictures import write_colors

SMALL = {**CONFIG, "max_epochs": 1, "batch_size": 8, "augmentation": {"train": "resize", "val": "resize"}}

PLAIN = Node()


class Runs:
    """A database and artifacts; runs attempts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = SqliteStore(None)
        self.artifacts: ArtifactStore = FolderArtifactStore(folder / "artifacts")
        self.stop = threading.Event()
        self.undelivered: Path | None = None
        self.parts = MACHINE
        self.renew: Callable[[], ArtifactStore] | None = None
        self.checkpoint = CheckpointRequest()

    def claim(self, training: Training) -> Training:
        """The next attempt is about to start."""
        number = self.store.trainings.get_training(training.id).attempt + 1
        assert self.store.queue.claim_training(training.id, an_attempt(training, number))
        return self.store.trainings.get_training(training.id)

    def lose(self, training: Training) -> None:
        """The controller has found its current attempt gone."""
        number = self.store.trainings.get_training(training.id).attempt
        lost = TrainingErrorInfo(type="Lost", message="its run is gone")
        self.store.queue.end_attempt(training.id, number, later(8), AttemptOutcome.LOST, TrainingStatus.NEW, lost)

    def run(self, training: Training, store: Store | None = None, node: Node = PLAIN) -> int:
        """The exit code of the attempt."""
        number = training.attempt
        run = RunContext(
            store or self.store,
            self.artifacts,
            lambda: later(7),
            self.stop,
            undelivered=self.undelivered,
            renew=self.renew,
            node=node,
            checkpoint=self.checkpoint,
        )
        return run_training(run, training.id, number, self.parts)


class Machine(Runs):
    """With a data set in files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "data"
        train, val = DatasetSplit(path=str(self.data / "train.txt")), DatasetSplit(path=str(self.data / "val.txt"))
        self.store.datasets.add_dataset(
            Dataset(id="digits:1", name="digits", version=1, train=train, val=val, created_at=NOW)
        )

    def write_images(self) -> None:
        write_colors(self.data, 12)
        write_colors(self.data, 6, "val")

    def queued(self, training: Training | None = None, **fields: Any) -> Training:
        """A training of which the first attempt is about to start."""
        training = training or a_training(**{"config": SMALL, **fields})
        self.store.queue.add_trainings([training])
        return self.claim(training)
