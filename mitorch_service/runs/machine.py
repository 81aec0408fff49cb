"""The parts of an attempt that take a machine's time, disk and threads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import MachineTrouble
from mitorch_service.runs.bounded_log import BoundedLog
from mitorch_service.runs.context import AttemptContext
from mitorch_service.runs.engine_training import run_engine
from mitorch_service.runs.machine_check import check_machine, find_trouble, folder_trouble
from mitorch_service.runs.resume import ResumePoint
from mitorch_service.runs.script.script_training import run_script
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.runs.threads import THREADS, Threads
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.temporary_folders import temporary_folder

log = logging.getLogger("mitorch")


@contextmanager
def _attempt_folder() -> Iterator[tuple[Path, BoundedLog]]:
    """A folder for this attempt's files, with everything that is logged meanwhile in its ``log.txt``. Raises
    MachineTrouble."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder())
            handler = BoundedLog(folder / "log.txt")
        except OSError as error:
            raise folder_trouble(error) from error
        log.addHandler(handler)
        try:
            yield folder, handler
        finally:
            log.removeHandler(handler)
            handler.close()


@dataclass(frozen=True)
class Machine:
    """The parts of an attempt that take a machine's time, disk and threads; tests/simulation has its own."""

    open_folder: Callable[[], AbstractContextManager[tuple[Path, BoundedLog]]] = _attempt_folder
    check: Callable[[ArtifactStore, Path], None] = check_machine
    find_trouble: Callable[[ArtifactStore, Path], MachineTrouble | None] = find_trouble
    run_engine: Callable[[AttemptContext, ResumePoint, StoreReporter], RunEnd] = run_engine
    run_script: Callable[[AttemptContext, StoreReporter], RunEnd] = run_script
    threads: Threads = THREADS


MACHINE = Machine()
