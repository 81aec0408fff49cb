"""Branch coverage of mitorch_service by SlipCover, whose probes slow only our own code down.

`scripts/test` sets COVERAGE_FOLDER. A process that has the variable and imports `tests` counts, and so do its forks.
Other processes that tests start do not: tests look at what those import, at their memory and at what they print.
`tests.coverage_report` adds all up.
"""

from __future__ import annotations

import atexit
import os
import pickle
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_VARIABLE = "COVERAGE_FOLDER"
_ROOT = Path(__file__).parents[1]

_SAVE: list[Callable[[], None]] = []  # what writes the counts so far to the folder

MEASURED: dict[str, str] = {}  # for the environment of those processes that shall count


def start() -> None:
    """Counts from now on, if the environment says so. Modules that are imported already do not count."""
    folder = os.environ.get(_VARIABLE)
    if not folder or _SAVE:
        return
    import slipcover  # type: ignore[import-untyped]

    from tests import coverage_modules  # not above: what does not count shall not import it

    counter = slipcover.Slipcover(branch=True, d_miss_threshold=coverage_modules.KEEP_PROBES)
    coverage_modules.use(Path(folder))
    slipcover.ImportManager(counter, slipcover.FileMatcher(sources=[_ROOT / "mitorch_service"])).__enter__()

    def write() -> None:
        seen, counter.newly_seen = counter.newly_seen, defaultdict(set)
        with Path(folder, f"{os.getpid()}.seen").open("ab") as file:
            pickle.dump(dict(seen), file)

    _SAVE.append(write)

    def leave(status: int) -> NoReturn:
        try:
            write()
        finally:  # another user cannot write there, but must end all the same
            exit_at_once(status)

    atexit.register(write)
    exit_at_once, os._exit = os._exit, leave
    os.register_at_fork(after_in_child=lambda: setattr(counter, "newly_seen", defaultdict(set)))


def save() -> None:
    """Writes what has been counted so far, of a process that may be killed."""
    for write in _SAVE:
        write()


def keep_to_ourselves() -> None:
    """From now on no process that is started counts, unless it is given `MEASURED`."""
    if _VARIABLE in os.environ:
        MEASURED[_VARIABLE] = os.environ.pop(_VARIABLE)
