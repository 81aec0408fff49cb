"""Measures the time that the end of an epoch costs the training, without its validation.

    python -m tests.benchmarks.epoch_overhead [--epochs 50] [--model resnet50]

``results`` is the time in which the training's thread hands an epoch to the store and to TensorBoard's files;
``results, all threads`` the processor time of that until it is written to SQLite, in a file. ``checkpoint`` is the time
in which the training's thread copies the model, with the momentum of each weight, and hands it to the thread that
writes it. Prints one JSON object a line: medians in ms; 1 % of an epoch of 10 s is 100 ms.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import timm
import torch

from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.settings import read_settings
from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints, State, in_main_memory
from mitorch_service.training.loop.file_reporter import FileReporter
from mitorch_service.wiring import open_artifacts, open_store
from tests.benchmarks.measuring import report, timed
from tests.samples import NOW, a_result, a_training, an_attempt, later


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--model", default="resnet50")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stream_results(Path(folder), options.epochs)
        save_checkpoints(Path(folder), options.model)


def stream_results(folder: Path, epochs: int) -> None:
    """Epochs one after the other, each waited for."""
    store = open_store(read_settings({"MITORCH_HOME": str(folder)}), create=True)
    store.prepare()
    training = a_training()
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "worker", NOW)
    streaming = StoreReporter(store, training.id, 1, epochs, lambda: later(9), threading.Event())
    with FileReporter(streaming, folder / "plots") as reporter:
        handed, whole = [], []
        for epoch in range(1, epochs + 1):
            result, before = a_result(epoch), time.process_time()
            handed.append(1000 * timed(lambda result=result: reporter.epoch_ended(result)))  # type: ignore[misc]
            streaming.flush(60)
            whole.append(1000 * (time.process_time() - before))
    streaming.close()
    report("results", statistics.median(handed), "ms")
    report("results, all threads", statistics.median(whole), "ms")
    report("results, the first epoch (imports TensorBoard)", handed[0], "ms")


def save_checkpoints(folder: Path, model: str) -> None:
    """Each with the one before it written."""
    weights = timm.create_model(model).state_dict()
    state: State = {"model": weights, "momentum": {name: torch.zeros_like(one) for name, one in weights.items()}}
    artifacts = open_artifacts(read_settings({"MITORCH_STORAGE_URL": str(folder / "artifacts")}))
    seconds = []
    with Checkpoints(artifacts, "training/") as checkpoints:
        for _ in range(5):
            seconds.append(timed(lambda: checkpoints.save(in_main_memory(state))))
            checkpoints.wait()
    report(f"checkpoint ({model})", 1000 * statistics.median(seconds), "ms")


if __name__ == "__main__":
    main()
