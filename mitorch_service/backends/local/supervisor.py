"""The parent of one local run: a small process of its own that outlives the controller.

Started by its path, not imported: ``python supervisor.py FOLDER GRACE_SECONDS COMMAND…``. It makes sure that a run name
is started once however often it is submitted, passes SIGTERM on (SIGKILL to all of the run's processes after the grace
period), and leaves the exit code behind in ``exit.json``.
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
    """Runs the command to its end; returns 0 when it has done its own work, whatever the command's exit code is."""
    try:
        (folder / "started").mkdir()  # atomic: of two supervisors for one run, one goes on
    except FileExistsError:
        return 0
    try:
        child = start(folder, command)
    except OSError as error:
        (folder / "log.txt").write_text(f"{command[0]} could not be started: {error.strerror}\n")
        write_end(folder, os.EX_TEMPFAIL)
        return 0
    pass_on_sigterm(child, grace_seconds)
    try:
        write_identity(folder, child)
    except OSError:  # a full disk: a run that nobody could find must not go on
        kill_group(child)
        raise
    if (folder / "cancel").exists():  # who wrote it may not have seen this process yet
        os.kill(os.getpid(), signal.SIGTERM)
    code = child.wait()
    kill_group(child)  # whatever it left behind
    write_end(folder, code)
    return 0


def start(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """The run's process, as the leader of a group that its data loading processes belong to and this one does not."""
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
    """Notes both processes with the times of their start: ids alone are used again."""
    # The child is not waited for yet: even if it has ended, its id is still its own.
    identity = {name: [pid, process_start(pid)] for name, pid in (("supervisor", os.getpid()), ("run", child.pid))}
    write_json(folder / "process.json", identity)


def write_end(folder: Path, code: int) -> None:
    """Notes the exit code, negative for a signal."""
    write_json(folder / "exit.json", {"code": code, "ended_at": time.time()})


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Ends whatever is left of the run's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def pass_on_sigterm(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """From now on SIGTERM to this process reaches the run, and ends it by force after the grace period."""

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
    """Writes the file as a whole or not at all."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def process_start(pid: int) -> float:
    """When the process was started: on Linux in clock ticks since the machine was, which no change of the clock moves;
    elsewhere in seconds since 1970. Raises psutil.NoSuchProcess."""
    if sys.platform != "linux":
        return psutil.Process(pid).create_time()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return float(fields[19])  # the 22nd field of proc(5), counted behind the name


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
