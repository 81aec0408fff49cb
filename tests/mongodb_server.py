"""The MongoDB-compatible server that the tests use: MITORCH_TEST_DB_URI, else a mongod on the PATH, else the DocumentDB
engine of `scripts/mongodb`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.shared_server import NotStarted, shared

SCRIPT = Path(__file__).parent.parent / "scripts" / "mongodb"
_MONGOD_SECONDS = 30.0


class NoServer(Exception):
    """None can be had; the message says how to get one."""


@contextmanager
def mongodb_uri() -> Iterator[str]:
    """The URI of a running server. Raises NoServer."""
    given = os.environ.get("MITORCH_TEST_DB_URI")
    if given:
        yield given
    elif shutil.which("mongod"):
        with _mongod() as uri:
            yield uri
    else:
        with _documentdb() as uri:
            yield uri


@contextmanager
def _documentdb() -> Iterator[str]:
    with ExitStack() as stack:
        try:
            uri = stack.enter_context(shared(SCRIPT))
        except NotStarted as error:
            raise NoServer(f"the MongoDB half of the tests is skipped: {error}") from None
        yield uri


@contextmanager
def _mongod() -> Iterator[str]:
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        server = subprocess.Popen(
            ["mongod", "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_port(port)
            yield f"mongodb://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait()


def _await_port(port: int) -> None:
    end = time.monotonic() + _MONGOD_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise NoServer("the mongod on the PATH does not start: try it by hand") from None
            time.sleep(0.1)
