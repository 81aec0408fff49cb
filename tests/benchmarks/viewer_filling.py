"""A service as it is after two years: trainings in every state, curves, one search of many trials, data sets.

    python -m tests.benchmarks.viewer_filling --store sqlite|mongo --n 1000000 --trials 10000 --keep DIR

Of N trainings the last 50 run, the 20,000 before them wait (a fiftieth of fewer), TRIALS belong to the search; a
hundred have curves of 1,000 epochs, all others that have ended 5 epochs each. Statuses follow from the number.
"""

from __future__ import annotations

import argparse
import math
import random
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo

from mitorch_service.models.dataset import Dataset, DatasetSplit, dataset_id
from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.models.search.job import BestTrial, SearchConfig, trial_id
from mitorch_service.models.status import JobStatus
from mitorch_service.stores.base import Store
from tests.benchmarks.filling import Database, indexes_last, training_id
from tests.benchmarks.measuring import timed
from tests.fakes import primitives
from tests.mongodb_server import mongodb_uri
from tests.samples import a_job, a_result, a_training, an_attempt

RUNNING = 50
LONG = 100  # trainings with long curves
LONG_EPOCHS, EPOCHS, RUNNING_EPOCHS = 1000, 5, 20
JOB = training_id(-1)
MODELS = ("resnet18", "resnet50", "efficientnet_b0", "convnext_tiny", "mobilenetv3_large_100")
_BATCH = 10_000
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Size:
    """How many there are."""

    trainings: int = 1_000_000
    trials: int = 10_000

    @property
    def waiting(self) -> int:
        return min(20_000, self.trainings // 50)

    def id(self, number: int) -> str:
        """The id of the training that was submitted as the number-th: the search began after the first tenth."""
        first = self.trainings // 10
        trial = number - first
        return trial_id(JOB, trial) if 0 <= trial < self.trials else training_id(number)

    def long(self) -> list[str]:
        """Ids of those with long curves."""
        return [self.id(number) for number in range(LONG)]

    def running(self) -> list[str]:
        """Ids of those that run."""
        return [self.id(number) for number in range(self.trainings - RUNNING, self.trainings)]

    def ended(self, number: int) -> str:
        """The id of one that is completed, no trial, another one for each number."""
        return self.id(self.trainings // 2 + 97 * number + 1)


@contextmanager
def service(kind: str, size: Size, keep: str | None) -> Iterator[Database]:
    """The filled database, which is dropped afterwards; with `keep` it is filled once and stays."""
    name = f"mitorch_viewer_{size.trainings}"
    with tempfile.TemporaryDirectory(prefix="mitorch-benchmark-") as temporary:
        if kind == "sqlite":
            file = Path(keep or temporary, f"{name}.db")
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                part = file.with_suffix(".part")
                part.unlink(missing_ok=True)
                fill(Database(kind, str(part), name), size)
                part.rename(file)
            yield Database(kind, str(file), name)
            return
        with mongodb_uri() as uri, closing(pymongo.MongoClient[dict[str, Any]](uri)) as client:
            if client[name]["filled"].find_one() is None:
                client.drop_database(name)  # the rest of a filling that was broken off
                fill(Database(kind, uri, name), size)
                client[name]["filled"].insert_one({})
            try:
                yield Database(kind, uri, name)
            finally:
                if keep is None:
                    client.drop_database(name)


def fill(database: Database, size: Size) -> None:
    """Adds everything."""
    draw, now = random.Random(0), datetime.now(UTC).replace(microsecond=0)
    with closing(database.open()) as store, indexes_last(database):
        for number in range(60):
            store.datasets.add_dataset(_dataset(f"set-{number % 20}", number // 20 + 1, now))
        batch = _BATCH if database.kind == "sqlite" else 2_000
        for start in range(0, size.trainings, batch):
            numbers = range(start, min(size.trainings, start + batch))
            primitives(store).insert("trainings", [_training(size, number, now, draw) for number in numbers])
        store.jobs.add_job(_job(size, now))
        store.controllers.record_pass(Heartbeat(at=now, every=300.0, machine="build-3", process=4711))
        if database.kind == "sqlite":
            _multiply_results(database, size)
        else:
            _add_results(store, size)


def _training(size: Size, number: int, now: datetime, draw: random.Random) -> dict[str, Any]:
    at = now - _MINUTE * (size.trainings - number)
    status, epochs = _state(size, number)
    lr, decay, model = 10 ** draw.uniform(-4, -1), 10 ** draw.uniform(-6, -3), draw.choice(MODELS)
    quality = 0.97 - 0.06 * abs(math.log10(lr) + 2.2) - 0.02 * (model == "resnet18") + draw.gauss(0, 0.006)
    last = at + timedelta(minutes=2 + epochs)
    ended = status not in ("new", "running")
    fields: dict[str, Any] = {
        "_id": size.id(number),
        "status": status,
        "priority": (50, 100, 100, 100, 200)[number % 5],
        "arrival": int(at.timestamp() * 1e6),
        "created_at": at,
        "status_times": {"new": at} if status == "new" else {"new": at, "running": at + 2 * _MINUTE, status: last},
        "ended_at": last if ended else None,
        "dataset": {"name": f"set-{number % 20}", "version": 1 + number % 3},
        "name": f"{model} {number % 400}",
        "tags": [f"team={number % 20}", f"stage={'final' if number % 7 == 0 else 'try'}"],
        "submitted_by": f"user{number % 12}",
        "config": _config(model, lr, decay),
        "max_epochs": LONG_EPOCHS if epochs == LONG_EPOCHS or status == "running" else EPOCHS,
    }
    if status == "new":
        return {**_WAITING, **fields}
    fields["attempts"] = [
        {**_ATTEMPT, "run_name": f"mt-{fields['_id']}-a1", "queued_at": at, "started_at": at + 2 * _MINUTE}
        | ({"ended_at": last, "outcome": status} if ended else {"ended_at": None, "outcome": None})
    ]
    metrics = {"top1_accuracy": quality, "f1": quality - 0.01}
    fields["progress"] = {
        "epoch": epochs,
        "max_epochs": fields["max_epochs"],
        "metrics": metrics,
        "train_loss": 1.0 - quality,
        "val_loss": 1.05 - quality,
        "epoch_seconds": 60.0,
        "at": last,
    }
    if status == "completed":
        fields["evaluation"] = {"val_loss": 1.05 - quality, **metrics}
    if status == "failed":
        fields["error"] = {"type": "DataError", "message": f"train/{number}.jpg cannot be read", "log_tail": []}
    trial = number - size.trainings // 10
    if 0 <= trial < size.trials:
        parameters = {"model.name": model, "lr_scheduler.base_lr": lr, "optimizer.weight_decay": decay}
        fields |= {"job_id": JOB, "name": "lr and model", "dataset": {"name": "set-0", "version": 1}}
        fields["trial"] = {
            "number": trial,
            "parameters": parameters,
            "objective": "top1_accuracy",
            "direction": "maximize",
            "value": quality if status == "completed" else None,
            "curve": {str(epoch): quality - 0.5 / epoch for epoch in range(1, epochs + 1)},
        }
    return {**_STARTED, **fields}


def _state(size: Size, number: int) -> tuple[str, int]:
    """The status, and how many epochs it has recorded."""
    if number < LONG:
        return "completed", LONG_EPOCHS
    if number >= size.trainings - RUNNING:
        return "running", RUNNING_EPOCHS
    if number >= size.trainings - RUNNING - size.waiting:
        return "new", 0
    trial = 0 <= number - size.trainings // 10 < size.trials
    if trial and number % 3 == 0:
        return "pruned", 2
    return ("completed" if number % 9 else ("failed", "canceled", "diverged")[number // 9 % 3]), EPOCHS


def _job(size: Size, now: datetime) -> Any:
    at = now - _MINUTE * (size.trainings - size.trainings // 10)
    best = BestTrial(
        training_id=trial_id(JOB, 1), number=1, value=0.98, parameters={"lr_scheduler.base_lr": 0.006}
    )  # nearly: reading all values for the true one is what the page does
    space = _config({"_choice": list(MODELS)}, {"_loguniform": [1e-4, 1e-1]}, {"_loguniform": [1e-6, 1e-3]})
    states = [_state(size, size.trainings // 10 + number)[0] for number in range(size.trials)]
    return a_job(
        id=JOB,
        status=JobStatus.RUNNING,
        arrival=int(at.timestamp() * 1e6),
        created_at=at,
        name="lr and model",
        tags=["team=1"],
        config=space,
        search=SearchConfig(objective="top1_accuracy", max_trials=2 * size.trials, seed=1),
        counts={status: states.count(status) for status in set(states)},
        best=best,
    )


def _multiply_results(database: Database, size: Size) -> None:
    """Copies one record of each epoch, which the product has written, for every training, in the order of the table."""
    with closing(sqlite3.connect(database.where, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = -500000")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TEMP TABLE epochs (most INTEGER, epoch INTEGER, suffix TEXT, body TEXT)")
        with closing(Database("sqlite", f"{database.where}.sample", "sample").open()) as sample:
            primitives(sample).insert("training_results", _records("ID", LONG_EPOCHS))
        with closing(sqlite3.connect(f"{database.where}.sample")) as sample_db:
            rows = sample_db.execute("SELECT _id, body FROM training_results ORDER BY _id").fetchall()
        for file in Path(database.where).parent.glob(f"{Path(database.where).name}.sample*"):
            file.unlink()
        records = [(number, id[2:], body) for number, (id, body) in enumerate(rows, 1)]
        db.executemany("INSERT INTO epochs VALUES (0, ?, ?, ?)", records)
        db.execute("CREATE INDEX temp.in_order ON epochs (epoch)")
        db.execute("BEGIN")
        db.execute(
            """INSERT INTO training_results SELECT t._id || e.suffix, replace(e.body, '"ID', '"' || t._id)
            FROM (SELECT _id, coalesce(json_extract(body, '$.progress.epoch'), 0) AS done FROM trainings ORDER BY _id) t
            CROSS JOIN epochs e WHERE e.epoch <= t.done"""
        )
        db.execute("COMMIT")


def _add_results(store: Store, size: Size) -> None:
    records: list[dict[str, Any]] = []
    for number in range(size.trainings):
        records += _records(size.id(number), _state(size, number)[1])
        if len(records) >= 4 * _BATCH:
            primitives(store).insert("training_results", records)
            records = []
    primitives(store).insert("training_results", records)


def _records(id: str, epochs: int) -> list[dict[str, Any]]:
    return [
        {"_id": f"{id}:{epoch:06d}", "training_id": id, "attempt": 1, **_RESULTS[epoch - 1]}
        for epoch in range(1, epochs + 1)
    ]


def _result(epoch: int, noise: random.Random) -> dict[str, Any]:
    left = math.exp(-epoch / 7)
    accuracy = 0.95 - 0.6 * left + noise.gauss(0, 0.004)
    return a_result(
        epoch,
        train_loss=0.05 + 2.2 * left + abs(noise.gauss(0, 0.01)),
        val_loss=0.1 + 1.9 * left + abs(noise.gauss(0, 0.02)),
        metrics={"top1_accuracy": accuracy, "f1": accuracy - 0.01},
    ).model_dump()


def _dataset(name: str, version: int, now: datetime) -> Dataset:
    split = DatasetSplit(path=f"/data/{name}/train.txt", support_files=[])
    return Dataset(id=dataset_id(name, version), name=name, version=version, train=split, val=split, created_at=now)


def _config(model: object, lr: object, decay: object) -> dict[str, Any]:
    return {
        "task_type": "classification",
        "model": {"name": model, "input_size": 224},
        "optimizer": {"name": "sgd", "weight_decay": decay},
        "lr_scheduler": {"name": "cosine", "base_lr": lr},
        "augmentation": {"train": ["random_resized_crop", "horizontal_flip"], "val": "resize"},
        "batch_size": 64,
        "max_epochs": EPOCHS,
    }


_NOISE = random.Random(1)
_RESULTS = [_result(epoch, _NOISE) for epoch in range(1, LONG_EPOCHS + 1)]
_WAITING = a_training().to_document()
_ATTEMPT = {
    **an_attempt(a_training()).to_document(),
    "url": "https://example.org/a-run",
    "price": 3.06,
}
_STARTED = {**_WAITING, "attempt": 1, "fence": 1, "worker": str(uuid.UUID(int=1))}


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options of the benchmarks on this service."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("sqlite", "mongo"), default="sqlite")
    parser.add_argument("--n", type=int, default=Size.trainings, help="trainings in all")
    parser.add_argument("--trials", type=int, default=Size.trials, help="of the one search")
    parser.add_argument("--keep", metavar="DIR", help="keep the filled database, in this folder, for the next")
    return parser


def main() -> None:
    given = arguments(__doc__).parse_args()

    def fill_one() -> None:
        with service(given.store, Size(given.n, given.trials), given.keep):
            pass

    print(f"{timed(fill_one):.1f} s")


if __name__ == "__main__":
    main()
