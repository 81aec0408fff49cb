"""Which files are images, and where formats that name them without their folder keep them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
)


def folder_of(image: str, folders: Iterable[Path]) -> Path:
    """The first folder that has this image; the first of all when none has."""
    candidates = list(folders)
    return next((folder for folder in candidates if (folder / image).is_file()), candidates[0])
