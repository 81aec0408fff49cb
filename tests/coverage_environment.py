"""Makes a Python process that tests start count in the coverage.

Most do not: tests look at what such a process imports, at its memory and at what it prints, and tracing takes time."""

from __future__ import annotations

import os

_PREFIX = "COVERAGE_PROCESS_"
MEASURED: dict[str, str] = {}  # for the environment of those that shall count


def keep_to_ourselves() -> None:
    """From now on no process that is started counts, unless it is given `MEASURED`."""
    for name in [name for name in os.environ if name.startswith(_PREFIX)]:
        MEASURED[name] = os.environ.pop(name)
