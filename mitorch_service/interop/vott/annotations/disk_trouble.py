"""Tells a disk that does not take the files of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mitorch_service.errors import ArtifactError


@contextmanager
def disk_trouble_of(folder: Path) -> Iterator[None]:
    """Raises ArtifactError, with the remedy, in place of an OSError."""
    try:
        yield
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error}). Free space there, or set MITORCH_HOME."
        raise ArtifactError("the data set", str(folder), problem) from error
