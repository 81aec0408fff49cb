"""Image file extensions, and the folder where a format that names images without one keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
)


def first_folder_with(image: str, folders: Sequence[Path]) -> Path:
    """The first folder that has this image; if none has it, the first."""
    return next((folder for folder in folders if (folder / image).is_file()), folders[0])
