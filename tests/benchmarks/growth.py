"""Measures what a million trainings store (documents, indexes, archive, files), and how fast they are pruned.

    python -m tests.benchmarks.growth [--store sqlite|mongo|files] [--n 20000]

Fills a new database with N completed trainings of 5 results each, as the product writes them, one in ten a trial of a
job, measures it and scales to 1,000,000; then prunes all into an archive. `files` runs one real training and measures
its run folder and its artifacts without the weights. Prints one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.base import new_id
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Progress, Training
from mitorch_service.operations.archives.archive import Archive
from mitorch_service.operations.archives.retention import PruneOptions, prune
from mitorch_service.stores.base import Store
from mitorch_service.stores.mongo.store import MongoStore
from mitorch_service.stores.sqlite.store import SqliteStore
from scripts.write_digits import write_digits
from tests.fakes import primitives
from tests.mongodb_server import mongodb_uri
from tests.samples import NOW, a_result, a_training, a_trial, an_attempt, later

CONFIG: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "scripts" / "samples" / "quickstart_training.json").read_text()
)
METRICS = ("top1_accuracy", "top5_accuracy", "average_precision")
EPOCHS = 5
TRIALS = 100  # of a job
BATCH = 1000
MILLION = 1_000_000


def report(name: str, store: str, n: int, value: float, unit: str = "bytes per 1,000,000 trainings") -> None:
    """One figure."""
    print(json.dumps({"name": name, "store": store, "n": n, "value": round(value), "unit": unit}), flush=True)


def fill(store: Store, n: int) -> None:
    """N completed trainings with their results."""
    draw = random.Random(0)
    job = ""
    for begin in range(0, n, BATCH):
        trainings = []
        for number in range(begin, min(begin + BATCH, n)):
            in_job = number // TRIALS % 10 == 0
            job = new_id() if number % TRIALS == 0 else job
            base = a_trial(job, number % TRIALS, tags=[f"team={number % 50}"]) if in_job else a_training()
            trainings.append(_completed(base, draw))
        store.queue.add_trainings(trainings)
        primitives(store).insert("training_results", [result for t in trainings for result in _results(t, draw)])


def _completed(training: Training, draw: random.Random) -> Training:
    attempt = an_attempt(training).model_copy(
        update={
            "submitted_at": NOW,
            "started_at": NOW,
            "ended_at": NOW,
            "outcome": AttemptOutcome.COMPLETED,
            "url": f"/home/somebody/.mitorch/runs/mt-{training.id}-a1",
        }
    )
    metrics = {name: draw.random() for name in METRICS}
    folder = f"/home/somebody/.mitorch/artifacts/{training.id}"
    changes: dict[str, Any] = {
        "status": TrainingStatus.COMPLETED,
        "status_times": dict.fromkeys(("new", "queued", "running", "completed"), NOW),
        "name": "digits",
        "config": {key: value for key, value in CONFIG.items() if key != "dataset"},
        "attempt": 1,
        "attempts": [attempt],
        "worker": new_id(),
        "progress": Progress(epoch=EPOCHS, max_epochs=EPOCHS, train_loss=draw.random(), metrics=metrics, at=NOW),
        "evaluation": {"val_loss": draw.random(), **metrics},
        "artifacts": {"model": f"{folder}/model.pth", "log": f"{folder}/attempt-1/log.txt"},
    }
    if training.trial is not None:
        changes["trial"] = training.trial.model_copy(update={"value": draw.random()})
    return training.model_copy(update=changes)


def _results(training: Training, draw: random.Random) -> Iterator[dict[str, Any]]:
    for epoch in range(1, EPOCHS + 1):
        numbers = {name: draw.random() for name in ("train_loss", "val_loss", "learning_rate", "epoch_seconds")}
        result = a_result(
            epoch,
            **numbers,
            metrics={name: draw.random() for name in METRICS},
            samples_per_second=draw.random() * 1e4,
            finished_at=later(epoch),
        )
        key = {"_id": f"{training.id}:{epoch:06d}", "training_id": training.id, "attempt": 1}
        yield {**key, **result.to_document()}


def sqlite_sizes(path: Path) -> dict[str, int]:
    """Bytes of the file, and of the parts of it where this SQLite can tell."""
    sizes = {"file": path.stat().st_size}
    with closing(sqlite3.connect(path)) as database:
        try:
            parts = dict(database.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
        except sqlite3.OperationalError:  # built without that table
            return sizes
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    sizes["documents: trainings"] = parts["trainings"]
    sizes["documents: results, with their key"] = parts["training_results"]
    sizes["indexes"] = sum(size for name, size in parts.items() if name not in tables)
    return sizes


def mongo_sizes(uri: str, name: str) -> dict[str, int]:
    """Bytes of each collection and its indexes, as the server tells."""
    sizes: dict[str, int] = {}
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        for collection in ("trainings", "training_results"):
            stats = client[name].command("collStats", collection)
            sizes[f"documents: {collection}"] = stats["storageSize"]
            sizes[f"indexes: {collection}"] = sum(stats["indexSizes"].values())
    return {"all": sum(sizes.values()), **sizes}


def measure(kind: str, store: Store, n: int, folder: Path, sizes: Any) -> None:
    """Fills, measures, prunes."""
    store.prepare()
    fill(store, n)
    store.retention.compact(lambda: None)
    for name, size in sizes().items():
        report(name, kind, n, size * MILLION / n)
    path = folder / "archive.jsonl.gz"
    with closing(Archive(path)) as archive:
        begin = time.perf_counter()
        options = PruneOptions(NOW + timedelta(days=1))
        pruned = prune(
            store, FolderArtifactStore(folder / "artifacts"), folder / "runs", options, archive, lambda: None
        )
        seconds = time.perf_counter() - begin
    assert pruned.trainings == n
    report("archive", kind, n, path.stat().st_size * MILLION / n)
    report("prune, without its pauses", kind, n, n / seconds, "trainings a second")
    begin = time.perf_counter()
    freed = store.retention.compact(lambda: None).freed
    report("compaction", kind, n, freed * MILLION / n)
    report("compaction, seconds", kind, n, (time.perf_counter() - begin) * MILLION / n, "s per 1,000,000 trainings")


def on_sqlite(n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mitorch.db")
        with closing(SqliteStore(path)) as store:
            measure("sqlite", store, n, Path(folder), lambda: sqlite_sizes(path))


def on_mongo(n: int) -> None:
    name = f"mitorch_growth_{uuid.uuid4().hex[:12]}"
    with mongodb_uri() as uri, tempfile.TemporaryDirectory() as folder:
        try:
            with closing(MongoStore(uri, name)) as store:
                measure("mongo", store, n, Path(folder), lambda: mongo_sizes(uri, name))
        finally:
            with pymongo.MongoClient[dict[str, Any]](uri) as client:
                client.drop_database(name)


def of_files() -> None:
    """One real training."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        environment = {**os.environ, "MITORCH_HOME": str(home)}
        for name in ("MITORCH_DB_URI", "MITORCH_STORAGE_URL", "MITORCH_CLUSTERS"):
            environment.pop(name, None)
        config = Path(folder, "training.json")
        config.write_text(json.dumps({**CONFIG, "max_epochs": EPOCHS}))
        for arguments in (
            ("dataset", "register", str(write_digits(Path(folder, "digits")))),
            ("submit", str(config)),
            ("control", "run", "--every", "0.2", "--until-idle"),
        ):
            command = [sys.executable, "-m", "mitorch_service.cli.main", *arguments]
            subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
        for name in ("runs", "artifacts"):
            files = [path for path in (home / name).rglob("*") if path.name != "model.pth"]
            taken = sum(path.stat().st_blocks * 512 for path in files)
            report(f"{name}: bytes on the disk", "files", 1, taken * MILLION)
            report(f"{name}: bytes in the files", "files", 1, MILLION * sum(_length(path) for path in files))
            report(f"{name}: files and folders", "files", 1, len(files) * MILLION, "per 1,000,000 trainings")
        report("weights", "files", 1, next(home.rglob("model.pth")).stat().st_size, "bytes of this one training")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--store", choices=("sqlite", "mongo", "files"), help="Only this one.")
    parser.add_argument("--n", type=int, default=20_000, help="Trainings to measure with. [default: 20000]")
    options = parser.parse_args()
    if options.store in (None, "sqlite"):
        on_sqlite(options.n)
    if options.store in (None, "mongo"):
        on_mongo(options.n)
    if options.store in (None, "files"):
        of_files()


if __name__ == "__main__":
    main()
