"""The marks by which all processes of a local run are found, whatever session, folder or environment they have.

One is the run's folder in their environment. The other one, on Linux, is a resource limit: every process inherits it,
through forks, new sessions, emptied environments and closed descriptors, and its user may read it. The soft limit of
RLIMIT_RTTIME is set to a number that follows from the folder. It limits nothing: the smallest is 73,000 years of a
real-time process without a pause.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from mitorch_service.inherited_settings import MARK

_BITS = 61  # of the hash; with a bit before them, the number fits into 63 bits and is never small
_KILLS = 200  # rounds: a process may start another one while it is killed
_KILL_SECONDS = 0.01  # from one round to the next


def mark_this_process(folder: Path) -> None:
    """Marks this process, and thereby all that it starts from now on, by the limit."""
    if sys.platform == "linux":
        hard = resource.getrlimit(resource.RLIMIT_RTTIME)[1]
        with contextlib.suppress(ValueError, OSError):  # an administrator's hard limit is lower
            resource.setrlimit(resource.RLIMIT_RTTIME, (limit_of(folder), hard))


def limit_of(folder: Path) -> int:
    """The soft limit of the run's processes, in microseconds."""
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=8).digest()
    return 1 << _BITS | int.from_bytes(digest) >> (64 - _BITS)


def kill_marked(folder: Path) -> None:
    """Kills the run's processes that have left its process group, with all that they start meanwhile."""
    for _ in range(_KILLS):
        found = False
        for pid in marked_processes(folder):
            found = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        time.sleep(_KILL_SECONDS)


def marked_processes(folder: Path) -> Iterator[int]:
    """The ids of the living processes that carry a mark of the run, except this one; looks at each of this user."""
    limit = limit_of(folder)
    for pid in psutil.pids():
        if pid != os.getpid() and (_limit(pid) == limit or _has_mark(pid, folder)) and _lives(pid):
            yield pid


def _limit(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return resource.prlimit(pid, resource.RLIMIT_RTTIME)[0]
    except OSError:
        return None  # another user's, or it has ended


def _has_mark(pid: int, folder: Path) -> bool:
    """Whether the process has the run's folder in its environment."""
    try:
        if sys.platform != "linux":
            return psutil.Process(pid).environ().get(MARK) == str(folder)
        return os.fsencode(f"{MARK}={folder}") in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (psutil.Error, OSError):
        return False  # another user's, or it has ended


def _lives(pid: int) -> bool:
    """Whether it is more than a zombie, which has its limits, and stays where nobody waits for it (in a container)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
