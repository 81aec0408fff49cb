"""Backends of this machine for tests, and an end for everything that they start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from mitorch_service.backends.base import Backend, RunRequest
from mitorch_service.backends.local.backend import LocalBackend
from mitorch_service.backends.local.supervisor import process_start
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.models.attempts.run_state import RunState

_SUBMIT = """
import sys, time
from pathlib import Path
from mitorch_service.backends.base import RunRequest
from mitorch_service.backends.local.backend import LocalBackend
home, slots, gate, name, *command = sys.argv[1:]
backend = LocalBackend("cluster", Path(home), int(slots), {})
end = time.monotonic() + 20
while gate and not Path(gate).exists() and time.monotonic() < end:
    time.sleep(0.001)
print(backend.submit(RunRequest(name, tuple(command))))
"""


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits until the condition holds; fails when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


def shell(script: str) -> tuple[str, ...]:
    """A command that runs the script."""
    return ("/bin/sh", "-c", script)


def python(script: str) -> tuple[str, ...]:
    """A command that runs the script, started faster than usual."""
    return (sys.executable, "-S", "-E", "-c", script)


class LocalCluster:
    """One home folder with any number of backend objects on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._backends: list[LocalBackend] = []

    def backend(
        self,
        slots: int | None = 2,
        grace: float = 30.0,
        environment: Mapping[str, str] | None = None,
        cluster: str = "cluster",
        *,
        max_silence: float = 900.0,
        hidden: Sequence[str] = (),
        access: FileAccess = PRIVATE,
    ) -> Backend:
        """One more object for the same cluster: what another controller, or a restarted one, has."""
        backend = LocalBackend(
            cluster,
            self.home,
            slots,
            environment or {},
            grace,
            max_silence=max_silence,
            hidden=hidden,
            access=access,
        )
        self._backends.append(backend)
        return backend

    def submit_elsewhere(self, request: RunRequest, processes: int = 1, slots: int = 2) -> list[str]:
        """Submits from other processes, all at the same moment, and waits for their end; returns what they say."""
        gate = self.home.parent / "submit-now"
        program = [sys.executable, "-c", _SUBMIT, str(self.home), str(slots), str(gate), request.name]
        started = [
            subprocess.Popen([*program, *request.command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(processes)
        ]
        gate.touch()
        answers = [process.communicate(timeout=60)[0].strip() for process in started]
        gate.unlink()
        return answers

    def folder(self, name: str) -> Path:
        """Returns the folder of the run's files."""
        return self.home / "runs" / name

    def processes(self, name: str) -> tuple[int, int]:
        """The process ids of a started run: its supervisor's, and its own."""
        path = self.folder(name) / "process.json"
        eventually(path.exists)
        identity = json.loads(path.read_text())
        return int(identity["supervisor"][0]), int(identity["run"][0])

    def close(self) -> None:
        """Ends all runs, and takes the ended processes off this one's hands."""
        for path in self.home.glob("runs/*/process.json"):
            identity = json.loads(path.read_text())
            for who in ("supervisor", "run"):
                pid, created = identity[who]
                kill_if_same(int(pid), float(created))
        children = [child for child in psutil.Process().children() if _is_supervisor(child)]
        for child in children:
            child.kill()
        psutil.wait_procs(children, timeout=10)
        for backend in self._backends:
            backend.describe([])


def kill_if_same(pid: int, created: float) -> None:
    """Ends the process and its group, if it is the one that was started then."""
    try:
        process = psutil.Process(pid)
        if process_start(pid) == created:
            os.killpg(pid, signal.SIGKILL)
            process.kill()
    except (psutil.NoSuchProcess, ProcessLookupError):
        return


def state(backend: Backend, name: str) -> RunState | None:
    """The run's state now."""
    status = backend.describe([name])[name]
    return None if status is None else status.state


def wait_for(backend: Backend, name: str, states: Sequence[RunState]) -> RunState:
    """Waits until the run is in one of the states; returns which."""
    eventually(lambda: state(backend, name) in states)
    found = state(backend, name)
    assert found is not None
    return found


def lives(pid: int) -> bool:
    """Whether there is such a process, and it is not merely waiting to be taken away."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
        return not words or any("supervisor.py" in word for word in words)  # one that is just ending has no words
    except psutil.ZombieProcess:
        return True
    except psutil.NoSuchProcess:
        return False
