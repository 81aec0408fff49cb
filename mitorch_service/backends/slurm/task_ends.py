"""The ends of the tasks of a run on several nodes. The supervisor of each leaves a file in the run's folder.

As with torchrun, the run succeeds when all its tasks do, and the first one that fails decides how it failed. Slurm then
ends the others by SIGTERM (``srun --kill-on-bad-exit``), and what they say after that is no cause.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mitorch_service.backends.local.supervisor import write_json
from mitorch_service.backends.run_files import log_end, read_json
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.secrets import mask_secrets

_POLL_SECONDS = 0.2
_SETTLE_SECONDS = 1.0  # in which a cause that came a moment before is told
_SHOWN_BYTES = 4096  # of a failed task's log
_SHOWN_CHARACTERS = 300  # of its last line


@dataclass(frozen=True)
class TaskEnd:
    """The end of one task."""

    rank: int
    code: int  # negative for a signal
    reason: str | None = None
    was_terminated: bool = False  # by SIGTERM: its end is the consequence of another one
    at: float = 0.0  # by the clock of the shared file system

    @property
    def is_failure(self) -> bool:
        return self.code not in (0, -signal.SIGTERM) and not self.was_terminated

    @property
    def failed_by_itself(self) -> bool:
        """Whether the training failed, rather than something around it: killed, or by its word."""
        return self.is_failure and self.code > 0 and self.code != EXIT_INFRASTRUCTURE


class TaskEnds:
    """The ends that the tasks of a job have left in the run's folder. Everything raises OSError."""

    def __init__(self, folder: Path, job: str) -> None:
        """`job`: the id of the job; another one of the same name does not count."""
        self._folder = folder
        self._job = job

    def write(self, end: TaskEnd) -> None:
        """Tells the end of this process's task, before Slurm can see it."""
        told = {"code": end.code, "reason": end.reason, "was_terminated": end.was_terminated}
        write_json(self._path(str(end.rank)), {"rank": end.rank, **told})

    def read(self) -> list[TaskEnd]:
        """Returns the ends that were told, in no order."""
        found = []
        for path in self._folder.glob(self._path("*").name):
            told = read_json(path)
            if told is not None:
                found.append(TaskEnd(**told, at=path.stat().st_mtime))
        return found

    def failure(self) -> TaskEnd | None:
        """Returns the end that made the run fail: the first failure, one that lost another process behind others."""
        failures = [end for end in self.read() if end.is_failure]
        return min(failures, key=lambda end: (end.code == EXIT_INFRASTRUCTURE, end.at, end.rank), default=None)

    def await_verdict(self, own: TaskEnd, tasks: int, is_terminated: Callable[[], bool]) -> TaskEnd:
        """Waits for the ends of all tasks, after that of the first, and returns the one that counts for the run.

        Once a task has failed, or this process is terminated, it waits no longer than a moment: a task that has told
        nothing by then will not. Then it was ended from outside, if none has failed.
        """
        end = None
        while True:
            told = self.read()
            cause = self.failure()
            if len(told) >= tasks:
                break
            if end is None and (own.code != 0 or cause is not None or is_terminated()):
                end = time.monotonic() + _SETTLE_SECONDS
            if end is not None and time.monotonic() >= end:
                break
            time.sleep(_POLL_SECONDS)
        if cause is not None:
            return cause
        if own.code != 0:
            return own
        others = [one for one in told if one.code != 0]
        if others or len(told) < tasks:
            return replace(own, code=others[0].code if others else -signal.SIGTERM, was_terminated=True)
        return own

    def describe(self, end: TaskEnd) -> str:
        """Says how a task ended, with the last line of its log."""
        what = f"exit code {end.code}" if end.code > 0 else f"signal {-end.code}"
        lines = log_end(self._folder / log_name(end.rank), _SHOWN_BYTES).split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        said = end.reason or mask_secrets(last)[-_SHOWN_CHARACTERS:]
        return f"its process of rank {end.rank} ended with {what}" + (f": {said}" if said else "")

    def show(self, end: TaskEnd) -> None:
        """Copies the end of another task's log to the run's, which people read."""
        with suppress(OSError), (self._folder / log_name(0)).open("a") as log:
            log.write(f"The end of {log_name(end.rank)}, of the process that failed:\n")
            log.write(log_end(self._folder / log_name(end.rank), _SHOWN_BYTES))

    def _path(self, rank: str) -> Path:
        return self._folder / f"end-{self._job}-{rank}.json"


def log_name(rank: int) -> str:
    """The file of a task's output: a shared file system keeps no order of what several nodes append."""
    return "log.txt" if rank == 0 else f"log-{rank}.txt"
