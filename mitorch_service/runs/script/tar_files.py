"""Unpacking of the archives that we have packed."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(file: Path, folder: Path) -> None:
    """Unpacks the files below the folder. Raises OSError, EOFError or TarError."""
    with tarfile.open(file) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # since Python 3.11.4; Debian 12 has 3.11.2
        tar.extractall(folder)
