"""A data set in blob storage, from its registration to the trained model, with the real commands' code."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mitorch_service.artifacts.blob.store import BlobArtifactStore
from mitorch_service.cli import dataset as midataset
from mitorch_service.errors import InvalidInput
from mitorch_service.models.dataset import DatasetRef, SasToken
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.context import RunContext
from mitorch_service.settings import Settings, read_settings
from mitorch_service.wiring import open_artifacts, open_dataset_files, open_dataset_registry, open_store
from tests.azurite_server import Azurite
from tests.samples import CONFIG, a_training, an_attempt
from tests.unit.training.pictures import write_colors

SMALL = {**CONFIG, "max_epochs": 1, "batch_size": 8, "augmentation": {"train": "resize", "val": "resize"}}


class Storage:
    """A container that holds artifacts and a data set whose images lie in folders beside the text files."""

    def __init__(self, azurite: Azurite, folder: Path) -> None:
        write_colors(folder / "set", 12)
        write_colors(folder / "set", 6, "val")
        self.azurite = azurite
        container = azurite.new_container()
        self.name = container.container_name
        self.files = [path for path in sorted((folder / "set").rglob("*")) if path.is_file()]
        self.files = [path.relative_to(folder) for path in self.files]
        for path in self.files:
            container.upload_blob(str(path), (folder / path).read_bytes())

    def definition(self, folder: Path, sas: str) -> str:
        """The file for `midataset register`."""

        def url(path: object) -> str:
            return f"{self.azurite.url(self.name, str(path))}?{sas}"

        def part(name: str) -> dict[str, Any]:
            support = [url(path) for path in self.files if path.parent.name == name or path.name == "labels.txt"]
            return {"path": url(f"set/{name}.txt"), "support_files": support}

        path = folder / "definition.json"
        content = [{"name": "colors", "version": 1, "train": part("train"), "val": part("val")}]
        path.write_text(json.dumps(content))
        return str(path)


@pytest.fixture
def storage(azurite: Azurite, tmp_path: Path) -> Storage:
    return Storage(azurite, tmp_path / "local")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, storage: Storage) -> Settings:
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path / "home"))
    sas = storage.azurite.sas(storage.name)
    monkeypatch.setenv("MITORCH_STORAGE_URL", f"{storage.azurite.url(storage.name, 'artifacts')}?{sas}")
    return read_settings()


def register_file(path: str) -> list[DatasetRef]:
    """Registers what the file defines."""
    return [one.ref for one in open_dataset_registry(read_settings()).register_file(path)]


def run(settings: Settings, training: Training) -> Training:
    """One attempt, to its end."""
    store = open_store(settings, create=True)
    store.prepare()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    files, artifacts = open_dataset_files(settings), open_artifacts(settings)
    run_training(RunContext(store, artifacts, lambda: datetime.now(UTC), threading.Event(), files), training.id, 1)
    return store.trainings.get_training(training.id)


def test_a_training_on_files_in_blob_storage(
    storage: Storage, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mitorch")
    token = storage.azurite.sas(storage.name, "r")
    (ref,) = register_file(storage.definition(tmp_path, token))
    done = run(settings, a_training(config=SMALL, dataset=ref))
    assert done.status == TrainingStatus.COMPLETED, done.error
    assert "data set colors:1: all files are available" in caplog.messages
    assert done.artifacts["model"] == storage.azurite.url(storage.name, f"artifacts/{done.id}/model.pth")
    open_artifacts(settings).get(f"{done.id}/attempt-1/log.txt", tmp_path / "log.txt")
    told = (tmp_path / "log.txt").read_text() + json.dumps(done.to_document(), default=str)
    assert "all files are available" in told
    assert "sig=" not in told


def test_a_shown_data_set_has_no_signature(storage: Storage, settings: Settings, tmp_path: Path) -> None:
    token = storage.azurite.sas(storage.name, "r")
    register_file(storage.definition(tmp_path, token))
    signature = token.partition("sig=")[2]
    shown = [CliRunner().invoke(midataset.command, list(arguments)).output for arguments in COMMANDS]
    assert all("set/train.txt" in output for output in shown)
    assert not [output for output in shown if signature in output]


COMMANDS = (["list"], ["list", "--json"], ["show", "colors"], ["show", "colors", "--json"])


def test_what_cannot_be_reached_is_not_registered(storage: Storage, settings: Settings, tmp_path: Path) -> None:
    wrong = storage.definition(tmp_path, storage.azurite.sas("other", "r"))
    with pytest.raises(InvalidInput) as caught:
        register_file(wrong)
    paths = [problem.path for problem in caught.value.problems]
    assert paths[:2] == ["[0].train.path", "[0].train.support_files[0]"]
    assert "access is refused" in caught.value.problems[0].message
    assert open_store(settings, create=True).datasets.list_datasets().items == []


def test_a_training_whose_files_are_gone_says_which(
    storage: Storage, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (ref,) = register_file(storage.definition(tmp_path, storage.azurite.sas(storage.name, "r")))
    BlobArtifactStore(f"{storage.azurite.connection_string}Container={storage.name}").delete("set/train/")
    done = run(settings, a_training(config=SMALL, dataset=ref))
    assert done.status == TrainingStatus.FAILED
    assert done.error is not None
    assert done.error.type == "DataError"
    assert re.search(r"set/train/\d+\.png: file not found\.$", done.error.message)


def test_a_token_that_has_expired_costs_nothing_and_is_renewed(
    storage: Storage, settings: Settings, tmp_path: Path
) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    (ref,) = register_file(storage.definition(tmp_path, storage.azurite.sas(storage.name, "r", soon)))
    store = open_store(settings)
    dataset, url = store.datasets.get_dataset(ref), f"{storage.azurite.url(storage.name, 'set')}/train.txt"
    expired = storage.azurite.sas(storage.name, "r", datetime.now(UTC) - timedelta(hours=1))
    tokens = [SasToken(url=token.url, token=expired) for token in dataset.sas_tokens]
    store.datasets.renew_tokens(dataset.model_copy(update={"sas_tokens": tokens}))
    waiting = run(settings, a_training(config=SMALL, dataset=ref))
    attempt = waiting.attempts[0]
    assert (waiting.status, attempt.outcome, attempt.of_data) == (TrainingStatus.NEW, AttemptOutcome.BLOCKED, True)
    assert f"its data set cannot be read: {url}" in (attempt.reason or "")
    assert "the SAS token expired on" in (attempt.reason or "")
    told = CliRunner().invoke(midataset.command, ["register", storage.definition(tmp_path, storage.azurite.sas(
        storage.name, "r"))])  # fmt: skip
    assert told.output == "renewed the SAS tokens of colors:1\n"
    again = store.datasets.get_dataset(ref)
    assert (again.expired(datetime.now(UTC)), again.created_at) == (None, dataset.created_at)
    open_dataset_files(settings).check_access(again)


def test_misubmit_warns_of_a_token_that_ends_soon(storage: Storage, settings: Settings, tmp_path: Path) -> None:
    end = datetime.now(UTC) + timedelta(days=1)
    register_file(storage.definition(tmp_path, storage.azurite.sas(storage.name, "r", end)))
    config = tmp_path / "c.json"
    config.write_text(json.dumps({**SMALL, "dataset": "colors"}))
    command = [sys.executable, "-m", "mitorch_service.cli.main", "submit", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Warning: colors:1: the SAS token of http://" in done.stderr
    assert "Warning: MITORCH_STORAGE_URL: the SAS token ends on" in done.stderr
    assert f"ends on {end:%Y-%m-%d %H:%M} UTC" in done.stderr
    assert "sig=" not in done.stderr
