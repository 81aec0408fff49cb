"""The living processes of a chaos run, whose controllers this process has started: found by the run's folder in their
environment."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.folders import VARIABLE

_RUN = re.compile(r"/runs/(mt-[0-9a-f-]{36}-a\d+)")
# What tells of a command line what it is: the first that is found in it.
_ROLES = (
    ("backends/local/start_supervisor.py", "supervisor"),
    ("script/guard.py", "guard"),
    ("fit.py", "script"),
    ("tests.chaos.submitter", "submitter"),
    ("mitorch_service.cli.main\0run\0", "run"),
    ("mitorch_service.cli.main\0control\0", "controller"),
)


@dataclass(frozen=True)
class Process:
    """A living process, which cannot be mistaken for a later one with its id."""

    pid: int
    started: str  # in clock ticks since the machine's start
    role: str  # or its command line
    run: str | None  # the name of the run that it belongs to

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal; False if the process has ended."""
        with suppress(ProcessLookupError):
            file = os.pidfd_open(self.pid)
            try:
                if _started(self.pid) == self.started:
                    signal.pidfd_send_signal(file, number)
                    return True
            finally:
                os.close(file)
        return False


def living(root: Path) -> Iterator[Process]:
    """Yields the processes of the run in this folder, without zombies."""
    mark = os.fsencode(f"{VARIABLE}={root}")
    for pid in psutil.pids():
        if pid != os.getpid():
            with suppress(OSError, psutil.NoSuchProcess):
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if mark in variables and (found := _process(pid, variables)):
                    yield found


def _process(pid: int, variables: list[bytes]) -> Process | None:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    started = _started(pid)
    if not started or not command:
        return None
    role = next((role for text, role in _ROLES if text in command), command.replace("\0", " ").strip())
    if role == "controller" and psutil.Process(pid).ppid() != os.getpid():
        role = "supervisor"  # of a run that is started now: it bears its parent's command until it executes its own
    place = _RUN.search("\n".join([command, *(v.decode() for v in variables if v.startswith(b"MITORCH_RUN="))]))
    return Process(pid, started, role, None if place is None else place[1])


def _started(pid: int) -> str:
    """When the process was started; empty for a zombie, and for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
