"""The point from which an attempt resumes: the checkpoints of earlier attempts, and the curve up to there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.checkpoint_keys import CHECKPOINT, delete_checkpoint_files
from mitorch_service.errors import ArtifactError
from mitorch_service.models.config.script import is_script
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training
from mitorch_service.runs.script.script_checkpoints import ScriptCheckpoints
from mitorch_service.stores.base import Store
from mitorch_service.training.torch_imports import heavy_imports

if TYPE_CHECKING:
    from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints

log = logging.getLogger("mitorch")


@dataclass(frozen=True)
class ResumePoint:
    """The whole epochs that earlier attempts have done; by default none."""

    artifacts: ArtifactStore
    training_id: str
    epochs: int | None = 0  # None: the first report will tell
    results: Sequence[EpochResult] = ()  # of those epochs; a script's are restored with its checkpoint
    found: Checkpoints | None = None  # with the state to resume from already loaded

    def open_checkpoints(self) -> Checkpoints:
        """The checkpoints to resume from and to write to. Imports PyTorch."""
        from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints

        return self.found or Checkpoints(self.artifacts, f"{self.training_id}/")


def find_resume_point(artifacts: ArtifactStore, training: Training) -> ResumePoint:
    """Finds the newest whole state of the training, or the state that its trial inherits from another one. Raises
    ArtifactError if the artifact store cannot be read.

    PyTorch is imported only if there is such a state.
    """
    if training.attempt == 1:
        return ResumePoint(artifacts, training.id)
    if is_script(training.config):
        epochs = ScriptCheckpoints(artifacts, training.id, training.attempt).last_epoch()
        return ResumePoint(artifacts, training.id, epochs or None)  # it may resume from a state of its own
    prefix = f"{training.id}/"
    lineage = training.trial.lineage if training.trial is not None else None
    if not lineage and not any(key.startswith(prefix + CHECKPOINT) for key in artifacts.keys(prefix)):
        return ResumePoint(artifacts, training.id)
    with heavy_imports():
        from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints, read_shared
        from mitorch_service.training.loop.checkpoints.session_state import finished_epochs, origin_of, results_in

    checkpoints = Checkpoints(artifacts, prefix)
    if lineage and origin_of(checkpoints.latest()) != lineage[-1].origin:  # its own states are older than the exchange
        checkpoints.inherit(read_shared(artifacts, lineage[-1].parent, lineage[-1].epoch))
    state = checkpoints.latest()
    return ResumePoint(artifacts, training.id, finished_epochs(state), results_in(state), checkpoints)


def complete_curve(store: Store, training: Training, results: Iterable[EpochResult]) -> None:
    """Records those results of a checkpoint, or of a machine's disk, that an earlier attempt could not record before it
    was killed. Raises
    StaleAttempt, StoreError."""
    results = list(results)
    recorded = {result.epoch for result in store.runs.curve(training.id).items} if results else set()
    for result in results:
        if result.epoch not in recorded:
            recorded.add(result.epoch)
            store.runs.record_epoch(training.id, training.attempt, training.max_epochs, result)


def delete_checkpoints(artifacts: ArtifactStore, training_id: str) -> None:
    """Deletes the states of a training that nothing will resume. A failure is logged, not raised."""
    try:
        delete_checkpoint_files(artifacts, training_id, shared=False)
    except ArtifactError as error:
        log.warning("checkpoints cannot be deleted: %s", error)
