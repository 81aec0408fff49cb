"""The parent process of a local run, which outlives the controller.

Started by its path: ``python supervisor.py FOLDER GRACE_SECONDS COMMAND…``. It makes sure that a run name is started
only once, forwards SIGTERM (followed by SIGKILL to all of the run's processes after the grace period), and writes the
exit code to ``exit.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import psutil


def supervise(folder: Path, grace_seconds: float, command: list[str]) -> int:
    """Runs the command until it ends; returns 0 whatever the command's exit code."""
    try:
        (folder / "started").mkdir()  # atomic: only one of two supervisors for a run continues
    except FileExistsError:
        return 0
    try:
        child = start(folder, command)
    except OSError as error:
        (folder / "log.txt").write_text(f"{command[0]} could not be started: {error.strerror}\n")
        write_end(folder, os.EX_TEMPFAIL)
        return 0
    forward_sigterm(child, grace_seconds)
    try:
        write_identity(folder, child)
    except OSError:  # the disk is full: a run that nobody can find must not continue
        kill_group(child)
        raise
    if (folder / "cancel").exists():  # its writer may not have seen this process
        os.kill(os.getpid(), signal.SIGTERM)
    code = child.wait()
    kill_group(child)  # processes that it left behind
    write_end(folder, code)
    return 0


def start(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Starts the run as the leader of a process group, which includes its data loaders but not this process."""
    with (folder / "log.txt").open("ab", buffering=0) as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            process_group=0,
        )


def write_identity(folder: Path, child: subprocess.Popen[bytes]) -> None:
    """Writes the ids of both processes with their start times, because ids are reused."""
    # The child has not been waited for, so that its id is not reused even if it has ended.
    identity = {name: [pid, process_start(pid)] for name, pid in (("supervisor", os.getpid()), ("run", child.pid))}
    write_json(folder / "process.json", identity)


def write_end(folder: Path, code: int) -> None:
    """Writes the exit code, negative for a signal."""
    write_json(folder / "exit.json", {"code": code, "ended_at": time.time()})


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kills the remaining processes of the run's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def forward_sigterm(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Forwards SIGTERM from this process to the run, and kills the run's group after the grace period."""

    def kill() -> None:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
            timer = threading.Timer(grace_seconds, kill)
            timer.daemon = True
            timer.start()

    signal.signal(signal.SIGTERM, on_sigterm)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes the file atomically."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def process_start(pid: int) -> float:
    """Returns when the process was started: on Linux in clock ticks since boot, which changes of the clock do not
    affect; elsewhere in seconds since 1970. Raises psutil.NoSuchProcess."""
    if sys.platform != "linux":
        return psutil.Process(pid).create_time()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return float(fields[19])  # the 22nd field of proc(5); the split starts after the second, the name


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
