"""Submitting to Azure ML and watching it, on an emulator whose every call takes a while.

    python -m tests.benchmarks.azureml [--runs 200] [--latency 0.1]

Prints one JSON object a line. The floor of the submissions: the same calls of the SDK one after the other, from what
ten of them take; that of the listing: a poll of each run. Nothing that is submitted is started.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from mitorch_service.backends.base import RunRequest
from tests.azureml_emulator.client import COMPUTE, WORKSPACE, running
from tests.azureml_worker import RemoteBackend, Worker
from tests.benchmarks.measuring import report

_FLOOR_RUNS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--latency", type=float, default=0.1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder, "azure")) as azure:
        azure.populate(max_nodes=given.runs)
        azure.configure(latency=given.latency, hold=True)
        with Worker(azure, Path(folder)) as worker:
            backend = worker.backend(Path(folder, "home"), name=COMPUTE, workspace=WORKSPACE)
            _measure(backend, given.runs, f"{given.latency * 1000:.0f} ms a call")


def _measure(backend: RemoteBackend, runs: int, what: str) -> None:
    begun = time.perf_counter()
    backend.capacity()
    report(f"sign-in and first capacity, {what}", time.perf_counter() - begun, "s")
    single = [backend.prepare(f"single-{number}", 1) for number in range(_FLOOR_RUNS + 1)]
    backend.submit(single[0])  # uploads the code
    floor = sum(_seconds_to_submit(backend, [request]) for request in single[1:]) / _FLOOR_RUNS * runs
    many = [backend.prepare(f"many-{number}", 1) for number in range(runs)]
    report(f"{runs} submissions, {what}", _seconds_to_submit(backend, many), "s", floor)
    names = [request.name for request in many]
    begun = time.perf_counter()
    found = backend.describe(names)
    seconds = time.perf_counter() - begun
    assert all(found[name] is not None for name in names)
    begun = time.perf_counter()
    for name in names[:_FLOOR_RUNS]:
        backend.describe([name])
    report(f"{runs} runs described, {what}", seconds, "s", (time.perf_counter() - begun) / _FLOOR_RUNS * runs)


def _seconds_to_submit(backend: RemoteBackend, requests: list[RunRequest]) -> float:
    begun = time.perf_counter()
    answers = backend.submit_all(requests)
    seconds = time.perf_counter() - begun
    assert all(isinstance(answer, str) for answer in answers), answers
    return seconds


if __name__ == "__main__":
    main()
