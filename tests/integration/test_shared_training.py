"""A queued training whose run has two processes, as a cluster of several nodes or GPUs starts them."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import pytest
import torch

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.dataset import Dataset, DatasetSplit
from mitorch_service.models.status import TrainingStatus
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.context import RunContext
from mitorch_service.runs.rank import run_rank
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.training.loop.local_processes import local_processes
from tests.samples import CONFIG, NOW, a_training, an_attempt, later
from tests.unit.training.pictures import write_colors
from tests.warm.command import with_warm_code

COMPANION = """
import sys, torch
from pathlib import Path
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.runs.rank import run_rank
torch.set_num_threads(1)
sys.exit(run_rank(SqliteStore(Path(sys.argv[1])), sys.argv[2], DatasetFiles(Path(sys.argv[3]))))
"""
MORTAL = """
import os, signal
from mitorch_service.training.loop.distributed import Processes
with Processes.joined():
    os.kill(os.getpid(), signal.SIGKILL)
"""
SMALL = {**CONFIG, "max_epochs": 2, "batch_size": 8, "augmentation": {"train": "resize", "val": "resize"}}


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    for name, images in (("train", 17), ("val", 6)):
        write_colors(tmp_path, images, name)
    splits = {name: DatasetSplit(path=str(tmp_path / f"{name}.txt")) for name in ("train", "val")}
    store = SqliteStore(tmp_path / "mitorch.db")
    store.datasets.add_dataset(Dataset(id="digits:1", name="digits", version=1, created_at=NOW, **splits))
    return store


def _fork_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in with_warm_code({}).items():
        monkeypatch.setenv(name, value)


@pytest.mark.long
def test_two_processes_end_one_training(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mitorch")  # as the command does
    torch.set_num_threads(1)
    _fork_code(monkeypatch)
    training = a_training(config=SMALL)
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    arguments = [str(tmp_path / "mitorch.db"), training.id, str(tmp_path / "cache")]
    artifacts, stop = FolderArtifactStore(tmp_path / "artifacts"), threading.Event()
    with local_processes(2, [sys.executable, "-c", COMPANION, *arguments]):
        assert run_training(RunContext(store, artifacts, lambda: later(7), stop), training.id, 1) == 0
    done = store.trainings.get_training(training.id)
    assert done.status == TrainingStatus.COMPLETED
    assert len(store.runs.curve(training.id).items) == 2
    assert "on cpu and 1 more" in Path(done.artifacts["log"]).read_text()
    store.close()


def test_one_whose_other_process_is_killed_is_tried_again(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fork_code(monkeypatch)
    training = a_training(config=SMALL)
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    artifacts, stop = FolderArtifactStore(tmp_path / "artifacts"), threading.Event()
    with local_processes(2, [sys.executable, "-c", MORTAL]):
        assert run_training(RunContext(store, artifacts, lambda: later(7), stop), training.id, 1) == EXIT_INFRASTRUCTURE
    lost = store.trainings.get_training(training.id)
    assert lost.status == TrainingStatus.NEW
    assert "can no longer reach each other" in str(lost.attempts[-1].reason)
    store.close()


def test_one_that_cannot_take_part_says_why(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run_rank(store, "no such training", DatasetFiles(tmp_path)) == 1
    assert "There is no training 'no such training'" in caplog.text
    store.close()
