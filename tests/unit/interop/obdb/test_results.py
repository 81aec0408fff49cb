"""The winners of a settings file in obdb's folders: once they have ended, again after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import StoreUnavailable
from mitorch_service.file_access import PRIVATE
from mitorch_service.interop.obdb.results import deliver_results, expect_results
from mitorch_service.models.config.obdb import OptimalSettings
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from tests.fakes import HookedStore
from tests.samples import a_job, a_training

CONFIG: dict[str, Any] = {
    "optimizer": {"name": "sgd", "momentum": 0.3, "weight_decay": 0.01},
    "lr_scheduler": {"name": "step", "base_lr": 0.001, "step_size": 3, "step_gamma": 0.1},
}


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts", PRIVATE)


def finished(artifacts: FolderArtifactStore, tmp_path: Path, **fields: Any) -> Training:
    """A training that has ended, with its artifacts."""
    training = a_training(config=CONFIG, **{"status": "completed", "evaluation": {"val_loss": 0.25}, **fields})
    for name in ("model.pth", "plots/class_metrics.json", "plots/events.out.tfevents.1.host", "plots/curves.png"):
        (tmp_path / "file").write_text(f"{name} of {training.id}")
        artifacts.put(f"{training.id}/{name}", tmp_path / "file")
    return training


def add(store: Store, document: Training | Job) -> None:
    if isinstance(document, Job):
        store.jobs.add_job(document)
    else:
        store.queue.add_trainings([document])


def expect(tmp_path: Path, **documents: Training | Job) -> list[str]:
    return expect_results(tmp_path / "expected", PRIVATE, str(tmp_path / "train"), str(tmp_path / "runs"), documents)


def test_the_winner_of_a_search_and_a_training(store: Store, artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    trained, winner = finished(artifacts, tmp_path), finished(artifacts, tmp_path)
    best = {"training_id": trained.id, "number": 1, "value": 0.125, "parameters": {}, "refit": winner.id}
    job = a_job(status="completed", best=best)
    for document in (trained, winner, job):
        add(store, document)
    assert expect(tmp_path, resnet18=trained, resnet34=job) == []
    told = deliver_results(store, artifacts, tmp_path / "expected")
    save, runs = tmp_path / "train", tmp_path / "runs"
    names = ("model.pth", "class_metrics.json", "settings.json")
    assert told == [
        f"resnet34: wrote {', '.join(f'{save}/resnet34_{name}' for name in names)}, {runs}/resnet34/{winner.id}",
        f"resnet18: wrote {', '.join(f'{save}/resnet18_{name}' for name in names)}, {runs}/resnet18/{trained.id}",
    ]
    assert (save / "resnet34_model.pth").read_text() == f"model.pth of {winner.id}"
    values = json.loads((save / "resnet34_settings.json").read_text())
    assert values == {
        "best_value": 0.125, "gamma": 0.1, "lr": 0.001, "momentum": 0.3, "step_size": 3, "weight_decay": 0.01,
    }  # fmt: skip
    assert OptimalSettings.model_validate(values).lr == 0.001  # as optimal_hpo_settings takes it
    assert json.loads((save / "resnet18_settings.json").read_text())["best_value"] == 0.25
    assert [path.name for path in runs.rglob("*") if path.is_file()] == ["events.out.tfevents.1.host"] * 2
    assert list((tmp_path / "expected").iterdir()) == []
    assert deliver_results(store, artifacts, tmp_path / "expected") == []


def test_what_has_not_ended_waits_and_what_ended_badly_is_told(
    store: Store, artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    running, failed, gone = a_training(), a_training(status="failed"), a_training()
    for document in (running, failed):
        add(store, document)
    expect(tmp_path, a=running, b=failed, c=gone)
    assert deliver_results(store, artifacts, tmp_path / "expected") == [
        "b: failed, so that nothing was written",
        "c: deleted, so that nothing was written",
    ]
    (left,) = (tmp_path / "expected").iterdir()
    assert json.loads(left.read_text())["trainings"] == {"a": running.id}
    assert deliver_results(store, artifacts, tmp_path / "expected") == []


def test_an_interruption_and_a_database_that_is_away_lose_nothing(
    store: Store, artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    training = finished(artifacts, tmp_path)
    add(store, training)
    expect(tmp_path, a=training)

    def away(operation: str) -> None:
        raise StoreUnavailable("the database", "is away", "Wait.")

    def killed(operation: str) -> None:
        raise KeyboardInterrupt

    assert deliver_results(HookedStore(store, away), artifacts, tmp_path / "expected") == []
    with pytest.raises(KeyboardInterrupt):
        deliver_results(HookedStore(store, killed), artifacts, tmp_path / "expected")
    assert len(deliver_results(store, artifacts, tmp_path / "expected")) == 1


def test_what_cannot_be_written_is_told_once(store: Store, artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    training = a_training(status="completed")  # its weights are gone
    add(store, training)
    expect(tmp_path, a=training)
    (told,) = deliver_results(store, artifacts, tmp_path / "expected")
    assert told.startswith("a: its results were not written (")
    assert told.endswith("Remove the cause, then run misubmit with the file again.")
    (tmp_path / "expected" / "unreadable.json").mkdir()
    (tmp_path / "expected" / "x.json").write_text("{")
    (told,) = deliver_results(store, artifacts, tmp_path / "expected")
    assert "x.json is damaged" in told
    assert deliver_results(store, artifacts, tmp_path / "expected") == []


def test_folders_of_another_machine_are_told(tmp_path: Path) -> None:
    here, other = str(tmp_path / "runs"), str(tmp_path / "no" / "where")
    remarks = expect_results(tmp_path / "expected", PRIVATE, other, here, {"a": a_training()})
    assert remarks == [f"save_dir {other} is not a folder of this machine: the results stay in the artifact store"]
    expected = next((tmp_path / "expected").iterdir()).read_text()
    assert (json.loads(expected)["save_dir"], json.loads(expected)["writer_dir"]) == (None, here)
    assert len(expect_results(tmp_path / "none", PRIVATE, "train", None, {"a": a_training()})) == 1
    assert not (tmp_path / "none").exists()
