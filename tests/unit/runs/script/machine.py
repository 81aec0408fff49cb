"""A machine that runs attempts of scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mitorch_service.models.base import new_id
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.training import Training
from mitorch_service.runs.script.code_archive import pack_code, store_code
from mitorch_service.runs.script.code_record import code_record
from tests.samples import a_training, a_trial
from tests.unit.runs.machine import Runs


class Machine(Runs):
    """Runs scripts."""

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

    def log(self, training: Training) -> str:
        return Path(self.store.trainings.get_training(training.id).artifacts["log"]).read_text()
