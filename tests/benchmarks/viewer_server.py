"""A real `miviewer` process for benchmarks: requests to it, and its memory."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.filling import Database
from tests.benchmarks.measuring import clean_environment

_START_SECONDS = 120.0  # a database of an earlier version is upgraded first
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """An answer, and when its first byte came."""

    status: int
    seconds: float
    size: int  # bytes, compressed
    body: bytes


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    process: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, connection: http.client.HTTPConnection, address: str) -> Answer:
        """Asks as a browser does, on a new connection, whose opening does not count."""
        connection.close()
        connection.connect()
        begin = time.perf_counter()
        connection.request("GET", address, headers={"accept-encoding": "gzip", "accept": "text/html,application/json"})
        answer = connection.getresponse()
        seconds = time.perf_counter() - begin
        body = answer.read()
        return Answer(answer.status, seconds, len(body), body)

    def connect(self) -> http.client.HTTPConnection:
        """A connection to it, which the caller closes."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)

    def memory(self) -> float:
        """Resident megabytes now."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024

    def cpu_seconds(self) -> float:
        """Processor time since its start."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(database: Database, port: int) -> Iterator[Server]:
    """Starts `miviewer` on the database; it is ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="mitorch-benchmark-home-") as home:
        environment = {**clean_environment(), **database.settings(), "MITORCH_HOME": home}
        command = [sys.executable, "-m", "mitorch_service.cli.main", "viewer", "--no-token", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            server = Server(process.pid, port)
            _wait(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"miviewer ended with {process.returncode}")
        try:
            with closing(server.connect()) as connection:
                server.get(connection, "/")
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("miviewer did not answer")
