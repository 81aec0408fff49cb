"""Finds the completed training that a person means, and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError, NotAllowed, NotFound
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind

WEIGHTS = "model.pth"


def completed_training(store: Store, kind: Kind, id: str, asked: str) -> Training:
    """Returns a completed training, or the winner of a job: its final training, if it has one. `asked` is what is to be
    done with it ("registered"). Raises NotFound, NotAllowed."""
    whole = _best_of(store, id, asked) if kind == "job" else id
    training = store.trainings.get_training(whole)
    if training.status != TrainingStatus.COMPLETED:
        remedy = "Only a completed training has a model."
        raise NotAllowed("training", whole, str(training.status), asked, remedy)
    if training.imported_from is not None:
        remedy = "Its model is where that system keeps it."
        raise NotAllowed("training", whole, f"imported from {training.imported_from.system}", asked, remedy)
    return training


def _best_of(store: Store, id: str, asked: str) -> str:
    job = store.jobs.get_job(id)
    if len(job.search.objectives()) > 1:
        remedy = "Give the id of the one you want: miquery shows them."
        raise NotAllowed("job", id, "a search for several objectives", f"{asked} by its best trial", remedy)
    if job.best is None:
        raise NotFound("best trial", f"of job {id}", "None of its trials is completed: see miquery.")
    return job.best.refit or job.best.training_id


@contextmanager
def fetched_weights(
    store: Store, artifacts: ArtifactStore, kind: Kind, id: str, asked: str
) -> Iterator[tuple[Training, Path]]:
    """Provides, until the context ends, a completed training, or the winner of a job, and a copy of its weights. Raises
    as `completed_training` does, and ArtifactError."""
    training = completed_training(store, kind, id, asked)
    key = f"{training.id}/{WEIGHTS}"
    with TemporaryDirectory(prefix="mitorch-model-") as folder:
        if not artifacts.exists(key):
            problem = "the training has no weights, or they were deleted. Train again, or give a weights file."
            raise ArtifactError(key, "the artifact store", problem)
        artifacts.get(key, Path(folder, WEIGHTS))
        yield training, Path(folder, WEIGHTS)
