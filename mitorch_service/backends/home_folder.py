"""The folder in which a backend keeps its runs: whatever is wrong with it is the cluster's trouble, and passes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mitorch_service.errors import BackendUnavailable


@contextmanager
def home_errors(cluster: str, home: Path, named: Path, remedy: str) -> Iterator[None]:
    """Raises BackendUnavailable for an OSError within, and for a home that is no folder; `named`: the path that is told
    where the error has none."""
    try:
        with suppress(FileNotFoundError):  # the first use creates it
            if not stat.S_ISDIR(home.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(home))
        yield
    except OSError as error:
        problem = f"{error.strerror or error} ({error.filename or named})"
        raise BackendUnavailable(cluster, problem, remedy) from error
