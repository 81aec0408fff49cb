"""Passes settings with credentials to a child process through a descriptor, so that no environment holds them.

The environment of a process can be read by every process of its user, and is passed on to everything that it starts.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping

VARIABLE = "MITORCH_SETTINGS_FD"  # the number of the descriptor
MARK = "MITORCH_RUN"  # the folder of a local run, in the environment of all its processes, by which they are found


def write_settings(variables: Mapping[str, str]) -> int:
    """Writes the settings, by variable, where only this process and its heirs can read them; returns a descriptor that
    the caller passes on and closes."""
    content = json.dumps(dict(variables)).encode()
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("settings")
    else:  # not on Linux
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
    os.write(file, content)
    return file


def read_settings_fd(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that this process was given, by variable; none if it was given no descriptor. They can be read
    again until `close_settings_fd`. Raises OSError, ValueError."""
    file = settings_fd(environ)
    if file is None:
        return {}
    settings: dict[str, str] = json.loads(os.pread(file, os.fstat(file).st_size, 0))
    return settings


def settings_fd(environ: Mapping[str, str]) -> int | None:
    """The descriptor, for a child that needs the same settings."""
    number = environ.get(VARIABLE)
    return int(number) if number else None


def close_settings_fd() -> None:
    """Closes the descriptor before a process starts that must not read the settings."""
    file = settings_fd(os.environ)
    if file is not None:
        del os.environ[VARIABLE]
        os.close(file)
