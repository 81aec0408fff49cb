"""Checks that the weights can be written, before a training starts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mitorch_service.errors import InvalidInput, Problem


def check_writable(path: Path) -> None:
    """Makes the folder of `path`. Raises InvalidInput unless a file can be created in it; leaves none there.

    Checking permissions would not suffice: root has them all, even on a read-only file system.
    """
    if path.is_dir():
        raise InvalidInput(str(path), [Problem("", "is a folder: give a file's path")])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        problem = f"cannot be written ({error.strerror}): give a path in a folder of yours"
        raise InvalidInput(str(path), [Problem("", problem)]) from error
