"""The weights of completed trainings and of the winners of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, NotAllowed, NotFound
from mitorch_service.models.search.job import BestTrial
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.operations.trained_weights import fetched_weights
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind
from tests.samples import a_job, a_training

_DONE = {"status": TrainingStatus.COMPLETED}


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts")


def test_a_training_and_a_winner_give_a_copy_for_the_time_of_use(
    store: Store, artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    trial, final = a_training(**_DONE), a_training(**_DONE)
    store.queue.add_trainings([trial, final])
    best = BestTrial(training_id=trial.id, number=0, value=0.5, parameters={})
    jobs = [
        a_job(status=JobStatus.COMPLETED, best=one) for one in (best, best.model_copy(update={"refit": final.id}), None)
    ]
    for job in jobs:
        store.jobs.add_job(job)
    for training in (trial, final):
        (tmp_path / "w").write_text(training.id)
        artifacts.put(f"{training.id}/model.pth", tmp_path / "w")
    wanted: tuple[tuple[Kind, str, Training], ...] = (
        ("training", trial.id, trial),
        ("job", jobs[0].id, trial),
        ("job", jobs[1].id, final),
    )
    for kind, id, expected in wanted:
        with fetched_weights(store, artifacts, kind, id, "exported") as (training, path):
            assert (training.id, path.read_text()) == (expected.id, expected.id)
        assert not path.exists()
    with (
        pytest.raises(NotFound, match="None of its trials is completed"),
        fetched_weights(store, artifacts, "job", jobs[2].id, "exported"),
    ):
        pass


def test_what_has_no_weights_is_told(store: Store, artifacts: FolderArtifactStore) -> None:
    waiting, cleaned = a_training(), a_training(**_DONE)
    store.queue.add_trainings([waiting, cleaned])
    with (
        pytest.raises(NotAllowed, match=r"is new.*exported.*Only a completed training has a model"),
        fetched_weights(store, artifacts, "training", waiting.id, "exported"),
    ):
        pass
    with (
        pytest.raises(ArtifactError, match="has no weights, or they were deleted"),
        fetched_weights(store, artifacts, "training", cleaned.id, "exported"),
    ):
        pass
