"""Measures a busy service: queued trainings, running ones, controllers, watchers and a viewer on one database.

    python -m tests.benchmarks.load --store sqlite|mongo [--n 100000] [--running 1000] [--minutes 10]
                                    [--controllers 4] [--watchers 20] [--runners 8]

The runs are simulated: their calls are those of real ones (a record each 10 s, a heartbeat each 30 s, twelve epochs),
their cluster a folder. Controllers pass every 10 s; watchers are `miquery --watch --json`; a `miviewer` is asked once a
second for the queue's page. Floor of a heartbeat: the raw driver's update of one document, twice a second, in a process
of its own. At the end every acknowledged epoch is looked for, and every run.

Prints one JSON object a line. Exits 1 if anything was lost, refused or launched twice.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo

from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.stores.base import Store
from tests.benchmarks.filling import Database, filled
from tests.benchmarks.load_cluster import FolderCluster
from tests.benchmarks.load_runner import Measured, attempt_of, run
from tests.benchmarks.measuring import Scale, clean_environment, percentile, report
from tests.benchmarks.viewer_server import serving
from tests.fakes import primitives

EPOCHS = 12
_PASS_SECONDS = 10.0
_PORT = 8891


def controller(database: Database, folder: Path, seconds: float, slots: int) -> tuple[list[float], list[str]]:
    """Makes passes; returns the seconds of each, and what failed."""
    passes, failures = [], []
    store, end = database.open(), time.monotonic() + seconds
    settings = LocalCluster(name="load", slots=slots, max_silence=600)
    controller = Controller(store, {"load": FolderCluster(folder, slots)}, [settings])
    while (begin := time.monotonic()) < end:
        try:
            passed = controller.tick(datetime.now(UTC))
            failures += [event.text for event in passed.events if event.trace]
        except Exception as error:  # told, not raised: the others go on  # noqa: BLE001
            failures.append(f"{type(error).__name__}: {error}")
        passes.append(time.monotonic() - begin)
        time.sleep(max(0.0, begin + _PASS_SECONDS - time.monotonic()))
    store.close()
    return passes, failures


def floor(database: Database, seconds: float) -> list[float]:
    """The seconds of the raw driver's updates of one small document."""
    taken, end = [], time.monotonic() + seconds
    if database.kind == "mongo":
        with pymongo.MongoClient[dict[str, Any]](database.where) as client:
            documents = client[database.name]["floor"]
            documents.insert_one({"_id": 1})
            while time.monotonic() < end:
                taken.append(_timed(lambda: documents.update_one({"_id": 1}, {"$inc": {"n": 1}})))
                time.sleep(0.5)
        return taken
    with closing(sqlite3.connect(database.where, timeout=60, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE floor (n INTEGER)")
        connection.execute("INSERT INTO floor VALUES (0)")
        while time.monotonic() < end:
            taken.append(_timed(lambda: connection.execute("UPDATE floor SET n = n + 1")))
            time.sleep(0.5)
    return taken


def pages(seconds: float) -> tuple[list[float], int]:
    """The seconds in which the viewer answers with the queue, and how often it gave up (504), as it does after 2 s."""
    taken, given_up, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with closing(http.client.HTTPConnection("127.0.0.1", _PORT, timeout=60)) as connection:
            begin = time.monotonic()
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.GATEWAY_TIMEOUT):
                raise RuntimeError(f"the viewer answered {answer.status}")
            given_up += answer.status == http.HTTPStatus.GATEWAY_TIMEOUT
            taken.append(time.monotonic() - begin)
        time.sleep(1)
    return taken, given_up


def main() -> int:
    """Runs the load and prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("sqlite", "mongo"), default="sqlite")
    for name, default in {"n": 100_000, "running": 1000, "controllers": 4, "watchers": 20, "runners": 8}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    seconds = given.minutes * 60
    scale = Scale(given.store, given.n, 1)
    with filled(given.store, given.n, None) as database, tempfile.TemporaryDirectory(prefix="mitorch-load-") as name:
        folder = Path(name)
        with ExitStack() as stack:
            stack.enter_context(serving(database, _PORT))
            watchers = stack.enter_context(_watching(database, given.watchers))
            pool = stack.enter_context(
                ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"), max_workers=99)
            )
            parts = range(given.runners)
            runs = [pool.submit(run, database, folder, p, len(parts), EPOCHS, seconds, given.running) for p in parts]
            passes = [
                pool.submit(controller, database, folder, seconds, given.running) for _ in range(given.controllers)
            ]
            floors, viewed = pool.submit(floor, database, seconds), pool.submit(pages, seconds)
            idle = _idle_share(seconds)
            measured = [one.result() for one in runs]
            _report(scale, measured, floors.result(), viewed.result(), idle)
            failures = _report_passes(scale, passes)
            failures += [f"watcher ended with {one.returncode}" for one in watchers if one.poll() is not None]
        failures += [text for one in measured for text in one.refused]
        failures += list(_lost(database, FolderCluster(folder, given.running), measured))
    for text in failures[:20]:
        print(text, file=sys.stderr)
    report("load: lost, refused or doubled", len(failures), "", scale=scale)
    return 1 if failures else 0


def _report(
    scale: Scale,
    measured: Sequence[Measured],
    floors: Sequence[float],
    viewed: tuple[Sequence[float], int],
    idle: float,
) -> None:
    beats = [value for one in measured for value in one.heartbeats]
    records = [value for one in measured for value in one.records]
    late = [value for one in measured for value in one.lateness]
    for percent in (50, 99):
        least = percentile(floors, percent) * 1e3
        report(f"load: heartbeat, p{percent}", percentile(beats, percent) * 1e3, "ms", least, scale)
        report(f"load: record of an epoch, p{percent}", percentile(records, percent) * 1e3, "ms", least, scale)
    report("load: a call's delay behind its time, p99", percentile(late, 99) * 1e3, "ms", scale=scale)
    report("load: heartbeats", len(beats), "", scale=scale)
    report("load: records", len(records), "", scale=scale)
    report("load: viewer's queue page, p99", percentile(viewed[0], 99) * 1e3, "ms", scale=scale)
    report("load: pages that the viewer gave up", viewed[1], "", scale=scale)
    report("load: idle processors", idle * 100, "%", scale=scale)


def _report_passes(scale: Scale, passes: Sequence[Future[tuple[list[float], list[str]]]]) -> list[str]:
    taken = [seconds for one in passes for seconds in one.result()[0]]
    report("load: passes", len(taken), "", scale=scale)
    for percent in (50, 99):
        report(f"load: a pass, p{percent}", percentile(taken, percent) * 1e3, "ms", scale=scale)
    return [text for one in passes for text in one.result()[1]]


def _lost(database: Database, cluster: FolderCluster, measured: Sequence[Measured]) -> Iterator[str]:
    """Checks what must hold: each run was launched once, each acknowledged epoch is stored, each end is recorded."""
    store = database.open()
    scale = Scale(database.kind, 0, 1)
    ended, living = cluster.ended(), cluster.living()
    report("load: runs that ended", len(ended), "", scale=scale)
    report("load: runs that live", len(living), "", scale=scale)
    yield from (f"{name} was launched, a second attempt" for name in (*ended, *living) if attempt_of(name)[1] > 1)
    for id, epochs in {id: n for one in measured for id, n in one.acknowledged.items()}.items():
        recorded = [result.epoch for result in store.runs.curve(id).items]
        if recorded != list(range(1, epochs + 1)):
            yield f"training {id}: epochs {recorded}, acknowledged up to {epochs}"
    for name in ended:
        training = store.trainings.get_training(attempt_of(name)[0])
        if (training.status, training.attempt) != ("completed", 1):
            yield f"{name} has ended, but its training is {training.status}, attempt {training.attempt}"
    counted = store.trainings.count_trainings()
    yield from _miscounted(store, counted)
    store.close()


def _miscounted(store: Store, counted: dict[str, int]) -> Iterator[str]:
    found: dict[str, int] = {}
    for document in primitives(store).scan("trainings"):
        found[document["status"]] = found.get(document["status"], 0) + 1
    if found != counted:
        yield f"counted {counted}, found {found}"


@contextmanager
def _watching(database: Database, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Commands that look at the queue every two seconds."""
    with tempfile.TemporaryDirectory(prefix="mitorch-benchmark-home-") as home:
        environment = {**clean_environment(), **database.settings(), "MITORCH_HOME": home}
        command = [sys.executable, "-m", "mitorch_service.cli.main", "query", "--watch", "--json"]
        started = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(count)]
        try:
            yield started
        finally:
            for one in started:
                one.terminate()
                one.wait(timeout=20)


def _idle_share(seconds: float) -> float:
    """Waits; returns the share of the processors' time that nobody used meanwhile."""
    before = _times()
    time.sleep(seconds)
    idle, total = (after - earlier for after, earlier in zip(_times(), before, strict=True))
    return idle / total


def _times() -> tuple[int, int]:
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return fields[3] + fields[4], sum(fields[:8])


def _timed(step: Any) -> float:
    begin = time.monotonic()
    step()
    return time.monotonic() - begin


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
