"""A server that sessions of tests share, such as the one of `scripts/mongodb`: who uses it holds a lock of the kernel,
and the last one stops it (`scripts/shared_server`)."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_ENVIRONMENT = dict(os.environ)  # as it was before a test replaced HOME


class NotStarted(Exception):
    """The server is not to be had; the message is the last line of the reason."""


@contextmanager
def shared(script: Path, *options: str) -> Iterator[str]:
    """Runs the script's server meanwhile, or uses the one that runs; gives what `share` prints. Raises NotStarted."""
    with Path(_call(script, "users", *options)).open("a") as users:
        try:
            yield _call(script, "share", *options, stdin=users)
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)  # a process forked from this one may have the file open, too
            release(script, *options)


def release(script: Path, *options: str) -> None:
    """Stops the server, if it was started for tests and nobody uses it."""
    _call(script, "release", *options)


def _call(script: Path, *arguments: str, stdin: IO[str] | None = None) -> str:
    done = subprocess.run(
        [script, *arguments], stdin=stdin, capture_output=True, text=True, check=False, env=_ENVIRONMENT
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines() or [f"scripts/{script.name} {arguments[0]} failed"]
        raise NotStarted(reason[-1])
    return done.stdout.strip()
