"""What the attempts before this one have left: checkpoints to go on from, and the curve up to there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.checkpoints import CHECKPOINT, delete_states
from mitorch_service.errors import ArtifactError
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.training.torch_imports import heavy_imports

if TYPE_CHECKING:
    from mitorch_service.training.loop.checkpoint import Checkpoints

log = logging.getLogger("mitorch")


class Earlier:
    """Whole epochs of a training, with their results. PyTorch is imported once there are any."""

    def __init__(self, artifacts: ArtifactStore, training_id: str, found: Checkpoints | None = None) -> None:
        self._artifacts, self._prefix, self._found = artifacts, f"{training_id}/", found
        self.epochs = 0
        self.results: Sequence[EpochResult] = ()

    def checkpoints(self) -> Checkpoints:
        """Where the training goes on from, and keeps its state."""
        from mitorch_service.training.loop.checkpoint import Checkpoints

        return self._found or Checkpoints(self._artifacts, self._prefix)

    def complete_curve(self, store: Store, training: Training) -> None:
        """Records the epochs that a process had finished, but not recorded before it was killed."""
        recorded = {result.epoch for result in store.runs.curve(training.id).items} if self.results else set()
        for result in self.results:
            if result.epoch not in recorded:
                store.runs.record_epoch(training.id, training.attempt, training.max_epochs, result)


def find_checkpoint(artifacts: ArtifactStore, training: Training) -> Earlier:
    """What this attempt of the training goes on from. Raises ArtifactError if the store cannot be read."""
    prefix, lineage = f"{training.id}/", (training.trial and training.trial.lineage) or ()
    if training.attempt == 1 or not (lineage or any(k.startswith(prefix + CHECKPOINT) for k in artifacts.keys(prefix))):
        return Earlier(artifacts, training.id)
    with heavy_imports():
        from mitorch_service.training.loop.checkpoint import Checkpoints, read_shared
        from mitorch_service.training.loop.session import finished_epochs, origin_of, results_in

    checkpoints = Checkpoints(artifacts, prefix)
    if lineage and origin_of(checkpoints.latest()) != lineage[-1].origin:  # its own states are from before
        checkpoints.take_over(read_shared(artifacts, lineage[-1].parent, lineage[-1].epoch))
    earlier = Earlier(artifacts, training.id, checkpoints)
    earlier.epochs, earlier.results = finished_epochs(checkpoints.latest()), results_in(checkpoints.latest())
    return earlier


def delete_checkpoints(artifacts: ArtifactStore, training_id: str) -> None:
    """Of a training that needs them no more. What cannot be deleted is logged."""
    try:
        delete_states(artifacts, training_id, shared=False)
    except ArtifactError as error:
        log.warning("checkpoints stay: %s", error)
