"""The keys of checkpoints among a training's files, and their deletion."""

from __future__ import annotations

from mitorch_service.artifacts.base import ArtifactStore

CHECKPOINT = "checkpoint-"  # the prefix of folders with checkpoints that only the training itself resumes from
SHARED = "shared-"  # the prefix of folders with checkpoints that other members of a population may copy


def delete_checkpoint_files(artifacts: ArtifactStore, training_id: str, shared: bool) -> None:
    """Deletes the checkpoints of a training; with `shared` also those kept for other trainings."""
    prefix, kinds = f"{training_id}/", (CHECKPOINT, SHARED) if shared else (CHECKPOINT,)
    names = {key.removeprefix(prefix).partition("/")[0] for key in artifacts.keys(prefix)}
    for name in sorted(names):
        if name.startswith(kinds):
            artifacts.delete(f"{prefix}{name}/")
