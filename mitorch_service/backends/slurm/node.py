"""A Slurm node, as seen from the process of a run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mitorch_service.backends.local.node import LocalNode
from mitorch_service.backends.node import ProcessFailure
from mitorch_service.backends.slurm.supervisor import RUN_VARIABLE, note_if_taken_away, this_job
from mitorch_service.backends.slurm.task_ends import TaskEnds

_POLL_SECONDS = 0.1


class SlurmNode(LocalNode):
    """Gets its settings from the supervisor, as a local run does. Its files are on the shared file system."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self._folder = Path(environ[RUN_VARIABLE])
        gpus = environ.get("SLURM_GPUS_ON_NODE", "")
        self.gpus = int(gpus) if gpus.isdecimal() else 0

    def is_preempted(self) -> bool:
        return note_if_taken_away(self._folder)

    def failed_process(self, patience: float = 0.0) -> ProcessFailure | None:
        ends = TaskEnds(self._folder, this_job())
        until = time.monotonic() + patience
        while True:
            with suppress(OSError):
                failure = ends.failure()
                if failure is not None:
                    return ProcessFailure(ends.describe(failure), failure.failed_by_itself)
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL_SECONDS)
