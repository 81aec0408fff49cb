"""Copies files in one step, by way of a partial file beside the target; removes those that killed processes left."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PART = ".part-"  # the prefix of partial files
_OTHER_MACHINE_SECONDS = 86400.0  # after which the partial file of another machine, whose locks are not seen, is dead
_CHUNK = 1 << 20

Opener = Callable[[str, int], int]


def copy_file(source: Path, target: Path, opener: Opener | None = None) -> None:
    """Copies the file, flushed to disk; `target` is unchanged or the complete copy. Raises OSError."""
    with _partial(target.parent, opener) as (partial, file), source.open("rb") as original:
        shutil.copyfileobj(original, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())
        partial.replace(target)


def remove_dead_parts(folder: Path) -> None:
    """Removes the partial files in and below the folder whose processes were killed. Errors are left to the next."""
    for path in folder.rglob(f"{PART}*"):
        with suppress(OSError):
            if path.name.startswith(_prefix()):
                _remove_unlocked(path)
            elif path.stat().st_mtime < time.time() - _OTHER_MACHINE_SECONDS:
                path.unlink()


@contextmanager
def _partial(folder: Path, opener: Opener | None) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in the folder, locked as long as it is written."""
    path = folder / f"{_prefix()}{uuid.uuid4().hex}"
    file = open(path, "xb", opener=opener)  # noqa: SIM115 - closed below, whatever happens
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if not path.exists():  # removed by another process before it was locked
            file.close()
            file = open(path, "xb", opener=opener)  # noqa: SIM115
            fcntl.flock(file, fcntl.LOCK_EX)
        yield path, file
    finally:
        file.close()
        path.unlink(missing_ok=True)


def _remove_unlocked(path: Path) -> None:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its process lives
        path.unlink()


def _prefix() -> str:
    """The beginning of the names of this machine's partial files."""
    return f"{PART}{zlib.crc32(socket.gethostname().encode()):08x}-"
