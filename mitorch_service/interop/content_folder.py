"""Folders that are named by what they hold, so that the same content is stored once."""

from __future__ import annotations

import hashlib
from pathlib import Path

_DIGITS = 16


def content_digest(folder: Path) -> str:
    """Returns a name that follows from the names and the content of the folder's files."""
    found = hashlib.sha256()
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").digest()
        found.update(f"{file.relative_to(folder)}\0".encode() + content)
    return found.hexdigest()[:_DIGITS]


def place(started: Path, target: Path) -> None:
    """Gives a whole folder its name, unless there is one of the same content. Raises OSError."""
    try:
        if not target.is_dir():
            started.replace(target)
    except OSError:
        if not target.is_dir():  # another process was not faster
            raise
