"""Lists the files in a folder at any depth, always in the same order. Links to folders are followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.left_out import HIDDEN, LeftOut

READ_BEFORE = "a link to a folder that is read already"


def files_below(folder: Path, left_out: LeftOut) -> Iterator[str]:
    """Yields the paths of the files in `folder`, relative to it.

    Hidden files and folders are counted in `left_out`, as are links that lead back to a folder read before, or to one
    around `folder`. Raises DataError for a folder that cannot be read.
    """
    read = {identity(one) for one in (folder, *folder.absolute().parents)}
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        place = os.path.relpath(parent, folder)
        prefix = "" if place == "." else f"{place}/"
        shown = f"{folder.name}/{prefix}"
        folders[:] = [one for one in sorted(folders) if _is_new(f"{parent}/{one}", shown + one, read, left_out)]
        for file in sorted(files):
            if file.startswith("."):
                left_out.add(HIDDEN, shown + file)
            else:
                yield prefix + file


def identity(folder: str | Path) -> tuple[int, int]:
    """Device and inode, by which a folder is recognised however it was reached."""
    status = os.stat(folder)  # noqa: PTH116 - speed
    return status.st_dev, status.st_ino


def _is_new(path: str, shown: str, read: set[tuple[int, int]], left_out: LeftOut) -> bool:
    if path.rpartition("/")[2].startswith("."):
        left_out.add(HIDDEN, f"{shown}/")
        return False
    key = identity(path)
    if key in read:
        left_out.add(READ_BEFORE, f"{shown}/")
        return False
    read.add(key)
    return True


def _refuse(error: OSError) -> None:
    raise DataError(f"the folder {error.filename} cannot be read ({error.strerror}).") from error
