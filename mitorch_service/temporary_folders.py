"""Temporary folders that do not outlive their process for long: whoever comes next removes those of killed ones.

A folder is locked by its process, and by the forks of that. Imports only the standard library, as a node needs it
before anything is installed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "mitorch-run-"  # of locked folders
# Those without a lock live for seconds, or are of earlier versions. With the ending of `tempfile`: a folder that a
# person has named, such as /tmp/mitorch-home, is never ours to remove.
_OURS = re.compile(r"mitorch-(run|package|checkpoint|code|plots|viewer|model)-[a-z0-9_]{8}")
_LONGEST_PATH = 60  # characters: the sockets of multiprocessing, below the folder, may have 107
_UNLOCKED_SECONDS = 30 * 86400.0


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder, locked, for this context; everything else below it that uses `tempfile` is put into it, too. Raises
    OSError."""
    remove_dead_folders()
    folder, lock = make_locked_folder()
    before = tempfile.tempdir
    try:
        if len(str(folder)) < _LONGEST_PATH:
            (folder / "tmp").mkdir()
            tempfile.tempdir = str(folder / "tmp")
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def make_locked_folder() -> tuple[Path, int]:
    """A new folder that only this user can read, and the descriptor that holds its lock. Raises OSError."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another process took it for a dead one's before it was opened
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # else it was taken for one before it was locked
            return folder, lock
        os.close(lock)


def remove_dead_folders() -> None:
    """Removes the temporary folders that killed processes of this user have left. Errors are left to the next."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if not _OURS.fullmatch(entry.name):
                continue
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if not entry.is_dir(follow_symlinks=False) or status.st_uid != os.geteuid():
                    continue
                if entry.name.startswith(PREFIX):
                    _remove_unlocked(Path(entry.path))
                elif status.st_mtime < time.time() - _UNLOCKED_SECONDS:
                    shutil.rmtree(entry.path, ignore_errors=True)


def _remove_unlocked(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its process lives
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
