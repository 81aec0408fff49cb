"""A service as a team has it after some weeks: trainings in every state with curves, a search, data sets.

For tests and pictures of pages; the figures are drawn from a seed, not measured.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from mitorch_service.models.base import new_id
from mitorch_service.models.dataset import Dataset, DatasetRef, DatasetSplit, dataset_id
from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.models.result import EpochResult
from mitorch_service.models.search.job import BestTrial, Job, SearchConfig, trial_id
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Attempt, Progress, Training, TrainingErrorInfo, Trial, run_name
from mitorch_service.stores.base import Store
from tests.fakes import primitives

MODELS = ("resnet18", "resnet50", "efficientnet_b0", "convnext_tiny", "mobilenetv3_large_100")
EPOCHS = 30
_ENDED = {TrainingStatus.COMPLETED: "completed", TrainingStatus.FAILED: "failed", TrainingStatus.DIVERGED: "diverged"}
_ENDED |= {TrainingStatus.CANCELED: "canceled", TrainingStatus.PRUNED: "pruned", TrainingStatus.PAUSED: "paused"}
_MIX = ("running", "running", "queued", *["new"] * 6, *["completed"] * 14, "failed", "failed", "canceled", "diverged")


def fill(store: Store, now: datetime, trainings: int = 27, trials: int = 40, seed: int = 0) -> str:
    """Adds so many trainings and a search with so many trials, the last of them submitted just before `now`. Returns
    the search's id."""
    store.prepare()
    made = _Maker(store, now, random.Random(seed))
    for name, version in (("parts", 1), ("parts", 2), ("welds", 1)):
        made.dataset(name, version)
    for number in range(trainings):
        made.training(number, trainings)
    job = made.search(trials)
    store.controllers.record_pass(Heartbeat(at=now, every=300.0, machine="build-3", process=4711))
    return job


class _Maker:
    """Makes documents."""

    def __init__(self, store: Store, now: datetime, draw: random.Random) -> None:
        self._store = store
        self._now = now
        self._draw = draw

    def dataset(self, name: str, version: int) -> None:
        train, val = (DatasetSplit(path=f"/data/{name}/{part}", support_files=[]) for part in ("train", "val"))
        id = dataset_id(name, version)
        dataset = Dataset(id=id, name=name, version=version, train=train, val=val, created_at=self._now)
        self._store.datasets.add_dataset(dataset)

    def training(self, number: int, of: int) -> None:
        """One training; the states are mixed as in a busy week."""
        status = TrainingStatus(_MIX[number % len(_MIX)])
        model = self._draw.choice(MODELS)
        at = self._now - timedelta(minutes=20 * (of - number) + 5)
        config = _config(model, 10 ** self._draw.uniform(-3.5, -1.5))
        fields: dict[str, Any] = {
            "id": new_id(),
            "dataset": DatasetRef(name=self._draw.choice(["parts", "welds"]), version=1),
            "config": config,
            "name": f"{model} {self._draw.choice(['baseline', 'mixup', 'long', 'augmented'])}",
            "tags": [f"team={self._draw.choice(['vision', 'line'])}", f"stage={self._draw.choice(['try', 'final'])}"],
            "priority": self._draw.choice([50, 100, 100, 100]),
            "submitted_by": self._draw.choice(["ada", "linus", "grace"]),
        }
        self._add(status, at, fields, self._draw.uniform(0.85, 0.99))

    def search(self, trials: int) -> str:
        """A search that goes on, with trials that it has pruned."""
        job_id, at = new_id(), self._now - timedelta(hours=9)
        space = _config("resnet18", {"_loguniform": [1e-4, 1e-1]})
        space["model"] = {"name": {"_choice": list(MODELS[:3])}}
        space["optimizer"] = {"name": "sgd", "weight_decay": {"_loguniform": [1e-6, 1e-3]}}
        best: BestTrial | None = None
        counts: dict[str, int] = {}
        for number in range(trials):
            model, lr, decay = (
                self._draw.choice(MODELS[:3]),
                10 ** self._draw.uniform(-4, -1),
                10 ** self._draw.uniform(-6, -3),
            )
            quality = (
                0.97 - 0.06 * abs(math.log10(lr) + 2.2) - 0.02 * (model == "resnet18") + self._draw.gauss(0, 0.006)
            )
            status = TrainingStatus.PRUNED if quality < 0.9 else TrainingStatus.COMPLETED
            if number >= trials - 3:
                status = (TrainingStatus.RUNNING, TrainingStatus.QUEUED, TrainingStatus.NEW)[number - trials + 3]
            parameters = {"model.name": model, "lr_scheduler.base_lr": lr, "optimizer.weight_decay": decay}
            value = quality if status == TrainingStatus.COMPLETED else None
            trial = Trial(
                number=number, parameters=parameters, objective="top1_accuracy", direction="maximize", value=value
            )
            id = trial_id(job_id, number)
            fields = {"id": id, "job_id": job_id, "trial": trial, "config": _config(model, lr), "name": "lr and model"}
            fields["dataset"] = DatasetRef(name="parts", version=2)
            self._add(status, at + timedelta(minutes=12 * number), fields, quality)
            counts[status.value] = counts.get(status.value, 0) + 1
            if value is not None and (best is None or value > best.value):
                best = BestTrial(training_id=id, number=number, value=value, parameters=parameters)
        job = Job(
            id=job_id,
            status=JobStatus.RUNNING,
            arrival=_arrival(at),
            created_at=at,
            status_times={"new": at, "running": at + timedelta(minutes=2)},
            dataset=DatasetRef(name="parts", version=2),
            name="lr and model",
            tags=["team=vision"],
            submitted_by="ada",
            config=space,
            search=SearchConfig(objective="top1_accuracy", max_trials=60, seed=1, early_stopping=None),
            counts=counts,
            best=best,
        )
        self._store.jobs.add_job(job)
        return job_id

    def _add(self, status: TrainingStatus, at: datetime, fields: dict[str, Any], quality: float) -> None:
        done = {"completed": EPOCHS, "running": 17, "failed": 8, "diverged": 4, "canceled": 11, "pruned": 6}.get(
            status, 0
        )
        start = at + timedelta(minutes=self._draw.uniform(1, 30))
        results = list(self._curve(done, start, quality))
        end = results[-1].finished_at if results else start
        attempts = [] if status == "new" else [_attempt(fields["id"], at, start, end, status)]
        times = {"new": at, **({"running": start} if results else {}), status.value: end if done else at}
        training = Training(
            status=status,
            arrival=_arrival(at),
            created_at=at,
            status_times=times,
            max_epochs=EPOCHS,
            attempt=len(attempts),
            attempts=attempts,
            progress=_progress(results[-1]) if results else None,
            evaluation={"val_loss": 1 - quality, "top1_accuracy": quality} if status == "completed" else None,
            error=_error(status),
            **fields,
        )
        self._store.queue.add_trainings([training])
        documents = (
            {"_id": f"{training.id}:{r.epoch:06d}", "training_id": training.id, "attempt": 1, **r.to_document()}
            for r in results
        )
        primitives(self._store).insert("training_results", documents)

    def _curve(self, epochs: int, start: datetime, quality: float) -> Iterator[EpochResult]:
        seconds = self._draw.uniform(25, 70)
        for epoch in range(1, epochs + 1):
            left = math.exp(-epoch / 7)
            accuracy = quality - 0.6 * left + self._draw.gauss(0, 0.004)
            yield EpochResult(
                epoch=epoch,
                train_loss=0.05 + 2.2 * left + self._draw.gauss(0, 0.01),
                val_loss=1.05 - quality + 1.9 * left + self._draw.gauss(0, 0.02),
                metrics={"top1_accuracy": accuracy, "f1": accuracy - 0.01},
                learning_rate=0.01 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2,
                epoch_seconds=seconds,
                samples_per_second=900.0,
                finished_at=start + timedelta(seconds=seconds * epoch),
            )


def _config(model: str, lr: object) -> dict[str, Any]:
    return {
        "task_type": "classification",
        "model": {"name": model, "input_size": 224},
        "lr_scheduler": {"name": "cosine", "base_lr": lr},
        "max_epochs": EPOCHS,
    }


def _attempt(id: str, at: datetime, start: datetime, end: datetime, status: TrainingStatus) -> Attempt:
    ended = status in _ENDED
    return Attempt.model_validate(
        {
            "number": 1,
            "cluster": "gpu-west" if int(id[:2], 16) % 2 else "gpu-north",
            "run_name": run_name(id, 1),
            "queued_at": at,
            "submitted_at": at + timedelta(seconds=4),
            "started_at": start if status != TrainingStatus.QUEUED else None,
            "ended_at": end if ended else None,
            "outcome": _ENDED.get(status),
            "price": 3.06,
        }
    )


def _progress(last: EpochResult) -> Progress:
    values = last.model_dump(include={"epoch", "train_loss", "val_loss", "metrics", "epoch_seconds"})
    return Progress(max_epochs=EPOCHS, at=last.finished_at, **values)


def _error(status: TrainingStatus) -> TrainingErrorInfo | None:
    if status == TrainingStatus.FAILED:
        log = [
            "Traceback (most recent call last):",
            '  File "loaders.py", line 88, in load',
            "OSError: image file is truncated",
        ]
        return TrainingErrorInfo(
            type="DataError", message="train/0412.jpg cannot be read: image file is truncated", log_tail=log
        )
    if status == TrainingStatus.DIVERGED:
        return TrainingErrorInfo(type="TrainingDiverged", message="the loss of step 310 is not finite (nan)")
    return None


def _arrival(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
