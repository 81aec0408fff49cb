"""Where trainings keep their states among their files, for whoever deletes them."""

from __future__ import annotations

from mitorch_service.artifacts.base import ArtifactStore

CHECKPOINT, SHARED = "checkpoint-", "shared-"  # folders of a training's own states; of those that others may take over


def delete_checkpoint_files(artifacts: ArtifactStore, training_id: str, shared: bool) -> None:
    """Those of a training that needs them no more; with `shared` those that it kept for others, too."""
    prefix, kinds = f"{training_id}/", (CHECKPOINT, SHARED) if shared else (CHECKPOINT,)
    names = {key.removeprefix(prefix).partition("/")[0] for key in artifacts.keys(prefix)}
    for name in sorted(names):
        if name.startswith(kinds):
            artifacts.delete(f"{prefix}{name}/")
