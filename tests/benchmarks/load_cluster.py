"""A cluster for the load benchmark: runs are files in a folder, which simulated runners take up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.errors import NoCapacity
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources, run_name


class FolderCluster(Backend):
    """`running/NAME` is a run that lives, `ended/NAME` one that has ended; any number of processes may use it."""

    def __init__(self, folder: Path, slots: int) -> None:
        self._running, self._ended, self._slots = folder / "running", folder / "ended", slots
        for part in (self._running, self._ended):
            part.mkdir(exist_ok=True)

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        return RunRequest(run_name(training_id, attempt), ())

    def submit(self, request: RunRequest) -> str | None:
        if (self._ended / request.name).exists() or (self._running / request.name).exists():
            return None
        if self.capacity().free <= 0:
            raise NoCapacity("load")
        (self._running / request.name).touch()
        return None

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        return {name: self._describe(name) for name in names}

    def cancel(self, name: str) -> None:
        pass

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        return ""

    def capacity(self) -> Capacity:
        return Capacity(self._slots, max(0, self._slots - len(self.living())))

    def living(self) -> list[str]:
        """The names of the runs that live."""
        return sorted(path.name for path in self._running.iterdir())

    def end(self, name: str) -> None:
        """Ends a run."""
        (self._running / name).rename(self._ended / name)

    def ended(self) -> list[str]:
        """The names of those that have ended."""
        return [path.name for path in self._ended.iterdir()]

    def _describe(self, name: str) -> RunStatus | None:
        if (self._running / name).exists():
            return RunStatus(RunState.RUNNING)
        # It may have moved between the two looks.
        return RunStatus(RunState.SUCCEEDED, exit_code=0) if (self._ended / name).exists() else None
