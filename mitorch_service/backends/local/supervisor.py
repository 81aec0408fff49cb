"""The parent process of a local run, which outlives the controller.

Started by its path: ``python supervisor.py FOLDER GRACE_SECONDS MAX_SILENCE COMMAND…``. It makes sure that a run name
is started only once, forwards SIGTERM (followed by SIGKILL to all of the run's processes after the grace period), kills
a run that gives no sign of life, and writes the exit code to ``exit.json``. The run's processes carry the marks of
`run_mark`, by which those are found that have left its process group.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from mitorch_service.backends.local.run_mark import kill_marked, mark_this_process
from mitorch_service.file_access import FileAccess
from mitorch_service.inherited_settings import MARK, close_settings_fd, settings_fd

SIGN_OF_LIFE = "MITORCH_ALIVE"  # in the run's environment: descriptor:seconds, where it writes a byte so often
_BEAT_SECONDS = 10.0
_SLICES = 20  # of the longest silence


def supervise(folder: Path, grace_seconds: float, max_silence: float, command: list[str]) -> int:
    """Runs the command until it ends, or has given no sign of life for `max_silence` seconds; returns 0 whatever the
    command's exit code."""
    umask = os.umask(FileAccess.like(folder).umask)
    mark_this_process(folder)  # before it has the token: whoever gives the run up must find all that may still start it
    try:
        (folder / "started").mkdir()  # atomic: only one of two supervisors for a run continues
    except FileExistsError:
        return 0
    alive, beats = os.pipe()
    try:
        child = start(folder, command, beats, max_silence, umask)
    except OSError as error:
        (folder / "log.txt").write_text(f"{command[0]} could not be started: {error.strerror}\n")
        write_end(folder, os.EX_TEMPFAIL)
        return 0
    os.close(beats)
    close_settings_fd()
    forward_sigterm(child, grace_seconds)
    silence = Silence(alive, max_silence, lambda: kill_group(child))
    try:
        write_identity(folder, child)
    except OSError:  # the disk is full: a run that nobody can find must not continue
        kill_group(child)
        kill_marked(folder)
        raise
    if (folder / "cancel").exists():  # its writer may not have seen this process
        os.kill(os.getpid(), signal.SIGTERM)
    code = child.wait()
    kill_group(child)  # processes that it left behind
    kill_marked(folder)
    write_end(folder, code, silence.reason)
    return 0


def start(
    folder: Path, command: list[str], beats: int, max_silence: float, umask: int, log_name: str = "log.txt"
) -> subprocess.Popen[bytes]:
    """Starts the run as the leader of a process group, which includes its data loaders but not this process."""
    settings = settings_fd(os.environ)
    every = min(_BEAT_SECONDS, max_silence / _SLICES)
    with (folder / log_name).open("ab", buffering=0) as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, MARK: str(folder), SIGN_OF_LIFE: f"{beats}:{every}"},
            pass_fds=[beats] if settings is None else [beats, settings],
            umask=umask,
            process_group=0,
        )


class Silence:
    """Watches for signs of life in a thread; calls `end` when there was none for too long."""

    def __init__(self, alive: int, max_seconds: float, end: Callable[[], None]) -> None:
        self.reason: str | None = None  # once it was called
        self._alive = alive
        self._max_seconds = max_seconds
        self._end = end
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        silent = 0  # slices; not seconds, which go on while this process itself is stopped
        while silent < _SLICES:
            if not select.select([self._alive], [], [], self._max_seconds / _SLICES)[0]:
                silent += 1
            elif os.read(self._alive, 4096):
                silent = 0
            else:
                return  # the run has ended
        self.reason = f"it gave no sign of life for {self._max_seconds:g} s (stopped or hung) and was killed"
        self._end()


def write_identity(folder: Path, child: subprocess.Popen[bytes]) -> None:
    """Writes the ids of both processes with their start times, because ids are reused."""
    # The child has not been waited for, so that its id is not reused even if it has ended.
    identity = {name: [pid, process_start(pid)] for name, pid in (("supervisor", os.getpid()), ("run", child.pid))}
    write_json(folder / "process.json", identity)


def write_end(folder: Path, code: int, reason: str | None = None) -> None:
    """Writes the exit code, negative for a signal, and the reason if it is more than that."""
    write_json(folder / "exit.json", {"code": code, "ended_at": time.time(), "reason": reason})


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
    """Writes the file atomically, also beside other processes that write it."""
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.part")
    with open(temporary, "w", opener=FileAccess.like(path.parent).opener) as file:
        file.write(json.dumps(value))
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
    sys.exit(supervise(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
