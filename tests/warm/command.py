"""Commands as tests start them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from tests.warm.server import TRAINING_DATASET_COMMANDS, Order, send_order, wait_status
from tests.warm.servers import COMMANDS, TRAINING, Server

_ROOT = Path(__file__).parents[2]
_TRAINING_COMMANDS = ("consume", "train", "test", "run", "predict", "export")  # the commands that import PyTorch; and:
_EMULATED = "EMULATOR_LEFT_LOOPBACK"  # in the environment of those that use the SDKs


class Process(Protocol):
    """The operations of tests on a command that they have started: a part of subprocess.Popen."""

    pid: int
    stdin: IO[str] | None
    stdout: IO[str] | None
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class Command:
    """``mitorch ARGUMENTS``, forked. Its standard input is empty."""

    stdin: IO[str] | None = None

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        merged: bool = False,
    ) -> None:
        """`merged`: what it writes to standard error comes with its output."""
        self.returncode: int | None = None
        output, out = _pipe()
        self.stdout: IO[str] | None = output
        self._stderr: IO[str] | None = None
        if merged:
            err = os.dup(out)
        else:
            self._stderr, err = _pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        heavy = arguments[0] in _TRAINING_COMMANDS or _EMULATED in environment
        heavy = heavy or (arguments[0] == "dataset" and arguments[1] in TRAINING_DATASET_COMMANDS)
        server = TRAINING if heavy else COMMANDS
        self._connection.connect(server.address())
        program = ["mitorch", *arguments]
        original = [sys.executable, "-m", "mitorch_service.cli.main", *arguments]
        order = Order(program, original, dict(environment), str(folder))
        self.pid = send_order(self._connection, order, [nothing, out, err])
        for file in (nothing, out, err):
            os.close(file)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def poll(self) -> int | None:
        """The exit code, None as long as it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; returns the exit code. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired("mitorch", timeout or 0.0)
        return self.returncode

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """The command's output, after its end."""
        texts: dict[str, str] = {}

        def read(name: str, stream: IO[str]) -> None:
            with stream:
                texts[name] = stream.read()

        streams = {"out": self.stdout, "err": self._stderr}
        readers = [
            threading.Thread(target=read, args=(name, stream), daemon=True)
            for name, stream in streams.items()
            if stream is not None and not stream.closed
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        return texts.get("out", ""), texts.get("err", "")

    def send_signal(self, sig: int) -> None:
        """Does nothing where it has ended."""
        if self.returncode is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """SIGKILL"""
        self.send_signal(9)

    def __enter__(self) -> Command:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.communicate()

    def _watch(self) -> None:
        with self._connection:
            status = wait_status(self._connection)
        self.returncode = 1 if status is None else os.waitstatus_to_exitcode(status)
        self._ended.set()


def warm_runs() -> dict[str, str]:
    """The environment that makes a Python with one of the tests' `sitecustomize` modules fork its run."""
    return {"WARM_RUNS": TRAINING.address(), "WARM_ROOT": str(_ROOT)}


def with_warm_runs(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command that starts runs on this machine."""
    return _with_hook(environment, warm_runs())


def with_warm_commands(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a shell whose ``mi…`` commands and runs are forked."""
    return _with_hook(environment, {**warm_runs(), "WARM_COMMANDS": COMMANDS.address()})


def with_warm_code(environment: Mapping[str, str], server: Server = TRAINING) -> dict[str, str]:
    """The environment in which ``python -c CODE`` is forked from the server."""
    return _with_hook(environment, {"WARM_CODE": server.address(), "WARM_ROOT": str(_ROOT)})


@contextmanager
def forked_workers() -> Iterator[None]:
    """While it is open, the workers of pytest-xdist that start are forked from a process that has imported PyTorch, the
    SDKs and all of ours: they would import the same, one after the other."""
    before = dict(os.environ)
    os.environ.update(_with_hook(before, {"WARM_WORKER": TRAINING.address(), "WARM_ROOT": str(_ROOT)}))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _with_hook(environment: Mapping[str, str], warm: Mapping[str, str]) -> dict[str, str]:
    paths = [str(Path(__file__).parent / "hook"), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, **warm, "PYTHONPATH": os.pathsep.join(paths)}


def _pipe() -> tuple[IO[str], int]:
    read, write = os.pipe()
    return os.fdopen(read), write
