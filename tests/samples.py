"""Documents for tests: valid ones, with what a test cares about given by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from mitorch_service.models.base import new_id
from mitorch_service.models.dataset import Dataset, DatasetRef, DatasetSplit, dataset_id
from mitorch_service.models.result import EpochResult
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Attempt, Training, TrainingRow, Trial, run_name

NOW = datetime(2026, 11, 20, 12, 30, 15, 123000, tzinfo=UTC)
CONFIG: dict[str, Any] = {
    "model": {"name": "test_resnet", "input_size": 32},
    "lr_scheduler": {"name": "cosine", "base_lr": 0.01},
    "max_epochs": 3,
}
SPACE: dict[str, Any] = {**CONFIG, "lr_scheduler": {"name": "cosine", "base_lr": {"_loguniform": [1e-4, 1e-1]}}}

_arrivals = count(1_700_000_000_000_000)


def later(seconds: float) -> datetime:
    """NOW plus some seconds."""
    return NOW + timedelta(seconds=seconds)


def a_training(**fields: Any) -> Training:
    """A new training; each is submitted a microsecond after the one before."""
    values: dict[str, Any] = {
        "id": new_id(),
        "status": TrainingStatus.NEW,
        "arrival": next(_arrivals),
        "created_at": NOW,
        "status_times": {"new": NOW},
        "dataset": DatasetRef(name="digits", version=1),
        "config": CONFIG,
        "max_epochs": CONFIG["max_epochs"],
    }
    return Training(**{**values, **fields})


def a_trial(job_id: str, number: int, direction: str = "minimize", **fields: Any) -> Training:
    """A new trial of a job."""
    trial = Trial(number=number, parameters={"lr": 0.1}, objective="val_loss", direction=direction)
    return a_training(job_id=job_id, trial=trial, **fields)


def an_attempt(training: TrainingRow, number: int = 1, cluster: str = "local") -> Attempt:
    """The intention to run the training's next attempt."""
    return Attempt(number=number, cluster=cluster, run_name=run_name(training.id, number), queued_at=NOW)


def a_result(epoch: int, **fields: Any) -> EpochResult:
    """The result of one epoch."""
    values: dict[str, Any] = {
        "epoch": epoch,
        "train_loss": 1.0 / max(epoch, 1),
        "val_loss": 1.5 / max(epoch, 1),
        "metrics": {"top1_accuracy": 0.9},
        "learning_rate": 0.01,
        "epoch_seconds": 1.25,
        "samples_per_second": 1000.0,
        "finished_at": later(epoch),
    }
    return EpochResult(**{**values, **fields})


def a_job(**fields: Any) -> Job:
    """A new job of four trials."""
    values: dict[str, Any] = {
        "id": new_id(),
        "status": JobStatus.NEW,
        "arrival": next(_arrivals),
        "created_at": NOW,
        "dataset": DatasetRef(name="digits", version=1),
        "config": SPACE,
        "search": SearchConfig(max_trials=4, seed=0),
    }
    return Job(**{**values, **fields})


def a_dataset(name: str = "digits", version: int = 1) -> Dataset:
    """A registered data set whose files nobody looks at."""
    split = DatasetSplit(path="/data/train.txt", support_files=["/data/images.zip"])
    return Dataset(id=dataset_id(name, version), name=name, version=version, train=split, val=split, created_at=NOW)
