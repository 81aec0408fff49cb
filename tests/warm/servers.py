"""The processes that are forked: one of each kind for all workers of a test session, started when first needed.

The session's main process (`Session`) holds the write end of a named pipe that is every server's standard input:
a server ends with the session, however that ends. A server holds a lock as long as it lives, so that the session can
wait for its end: what it has counted of the coverage is written then.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.coverage_measurement import MEASURED

_ROOT = Path(__file__).parents[2]
_VARIABLE = "WARM_SERVERS"
_LIFE = "session"  # the named pipe
_LOCK = "lock"
_END_SECONDS = 20.0
# What commands import when they need it, all of it: a fork would do that again and again.
_ROOMS = ("models", "stores", "search", "controller", "insights", "operations", "submission")
_COMMANDS = (
    *("wiring", "cli.submit", "cli.query", "cli.dataset", "cli.control", "cli.mitorch_commands.doctor"),
    *(
        "cli.submission.submit_many",
        "cli.submission.submit_obdb",
        "cli.submission.submit_one",
        "cli.query_table",
        "cli.control_commands.control_prune",
        "cli.control_commands.control_run",
    ),
    *("backends.local.backend", "artifacts.folder", "artifacts.dataset_files", "artifacts.datastore_urls"),
    *("training.data.splits", "training.loop.config_check"),
    *("cli.viewer", "viewer.app", "viewer.serve"),
)
_TORCH = (
    "mitorch_service.cli.training.run_process",
    "mitorch_service.cli.train",
    "mitorch_service.cli.test",
    "mitorch_service.training.loop.engine",
    "mitorch_service.training.loop.file_reporter",
    "torchmetrics.classification",
    "torch.utils.tensorboard",
    "tests.warm.preload",
)
_SDKS = (
    "mitorch_service.backends.azureml.v1.sdk",
    "mitorch_service.backends.azureml.v2.sdk",
    "mitorch_service.artifacts.blob.store",
    "azure.identity",
    "cvat_sdk.core.client",
    "mitorch_service.cli.mitorch_commands.consume",
    "mitorch_service.interop.vott.service",
    "mitorch_service.interop.vott.queues.storage_queue",
)
_TESTS = (  # what tests import besides: see `tests.warm.command.forked_workers`
    *("hypothesis.strategies", "moto.server", "playwright.sync_api", "pyarrow.parquet", "pycep", "ruamel.yaml"),
    *("schemathesis", "schemathesis.checks", "sklearn.datasets", "sklearn.metrics", "scipy.stats"),
    *("azure.servicebus", "azure.storage.queue", "azure.storage.blob.aio", "faster_coco_eval"),
)


@dataclass(frozen=True)
class Server:
    """A process that has imported `modules`, and forks commands of ours."""

    name: str
    modules: tuple[str, ...]

    def address(self) -> str:
        """Starts it, if no process of the session has done so; returns the path of its socket."""
        folder = Path(os.environ[_VARIABLE])
        path = folder / self.name
        with _locked(folder / f"{self.name}.lock"):
            if not path.exists():
                self._start(folder, path)
        return str(path)

    def _start(self, folder: Path, path: Path) -> None:
        # Read when NumPy and PyTorch are imported: no thread is there when it forks, and one is enough for a fork.
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        life = os.open(folder / _LIFE, os.O_RDONLY)
        alive = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT)
        fcntl.flock(alive, fcntl.LOCK_SH)
        command = [sys.executable, "-m", "tests.warm.server", str(path), str(alive), *self.modules]
        server = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, **MEASURED, **threads, "PYTHONUNBUFFERED": "1"},
            stdin=life,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[alive],
            start_new_session=True,
        )
        os.close(life)
        os.close(alive)
        assert server.stdout is not None
        with server.stdout:
            assert server.stdout.readline() == "ready\n", f"the server of {self.name} has not started"
        server.returncode = 0  # it outlives whoever has started it


def _command_modules() -> Iterator[str]:
    package = _ROOT / "mitorch_service"
    for room in (*_ROOMS, "cli/views"):
        for path in sorted((package / room).rglob("[!_]*.py")):
            yield ".".join(("mitorch_service", *path.relative_to(package).with_suffix("").parts))
    yield from (f"mitorch_service.{name}" for name in _COMMANDS)
    yield from ("shlex", "difflib", "psutil", "concurrent.futures.thread")


COMMANDS = Server("commands", tuple(_command_modules()))
# Runs on nodes tell Azure ML their metrics; and one server less is what it costs to import all of this once more.
TRAINING = Server("training", (*COMMANDS.modules, *_TORCH, *_SDKS, *_TESTS))


class Session:
    """The life of the servers of a test session, in its main process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-", dir="/tmp")  # a socket's path must be short
        folder = Path(self._folder.name)
        os.mkfifo(folder / _LIFE)
        self._life = os.open(folder / _LIFE, os.O_RDWR)  # a pipe that nobody reads cannot be opened for writing alone
        os.environ[_VARIABLE] = str(folder)

    def end(self) -> None:
        """Ends the servers, and waits for them."""
        os.close(self._life)
        with (Path(self._folder.name) / _LOCK).open("a") as lock:
            end = time.monotonic() + _END_SECONDS
            while not _locks(lock.fileno()) and time.monotonic() < end:
                time.sleep(0.02)
        self._folder.cleanup()
        del os.environ[_VARIABLE]


def _locks(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
