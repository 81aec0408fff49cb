"""A machine that runs attempts of scripts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.base import new_id
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.training import Training
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.script.code_archive import pack_code, store_code
from mitorch_service.runs.script.code_record import code_record
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import a_training, a_trial, an_attempt, later


class Machine:
    """A database and artifacts; runs scripts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = SqliteStore(None)
        self.artifacts: ArtifactStore = FolderArtifactStore(folder / "artifacts")
        self.stop = threading.Event()
        self.undelivered: Path | None = None
        self.renew: Callable[[], ArtifactStore] | None = None

    def queued(self, code: str, trial: bool = False, script: Any = None, **fields: Any) -> Training:
        """A script of one file that waits for its first attempt, claimed."""
        source = self.folder / "train.py"
        source.write_text(code)
        archive = pack_code(source, self.folder / "code.tar.gz")
        store_code(self.artifacts, archive)
        record = code_record(source, archive).model_dump(mode="json")
        section = {"command": ["python", "train.py", "{parameters}"], "code": record, **(script or {})}
        config = {"script": section, "parameters": fields.pop("parameters", {}), **fields.pop("limits", {})}
        values = {"config": config, "dataset": NO_DATASET, "max_epochs": 0, **fields}
        training = a_trial(new_id(), 0, **values) if trial else a_training(**values)
        self.store.queue.add_trainings([training])
        return self.claim(training)

    def claim(self, training: Training) -> Training:
        number = self.store.trainings.get_training(training.id).attempt + 1
        assert self.store.queue.claim_training(training.id, an_attempt(training, number))
        return self.store.trainings.get_training(training.id)

    def run(self, training: Training, store: Store | None = None) -> int:
        """The exit code of the attempt."""
        number = training.attempt
        return run_training(
            store or self.store,
            self.artifacts,
            training.id,
            number,
            lambda: later(7),
            self.stop,
            undelivered=self.undelivered,
            renew=self.renew,
        )

    def log(self, training: Training) -> str:
        return Path(self.store.trainings.get_training(training.id).artifacts["log"]).read_text()
