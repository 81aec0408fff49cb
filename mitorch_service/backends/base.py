"""The contract of a backend: a cluster on which runs execute."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from mitorch_service.errors import BackendError
from mitorch_service.models.run_state import RunState
from mitorch_service.models.training import Resources


@dataclass(frozen=True)
class RunRequest:
    """Everything that a cluster needs to start a run, except secrets: those come by the backend's own way."""

    name: str  # the same for the same attempt of a training
    command: tuple[str, ...]
    nodes: int = 1  # the command is started on each, as one distributed run
    gpus: int | None = None  # of each node that the training needs; None: whatever a node has


@dataclass(frozen=True)
class RunStatus:
    """A run as its cluster sees it, with the reason in words where it has ended badly."""

    state: RunState
    reason: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Capacity:
    """How many nodes a cluster can have, and on how many of them a run can be started now: each run takes as many as
    it asks for, most of them one."""

    total: int
    free: int
    gpus: int | None = field(default=None, compare=False)  # of a node, where the cluster itself knows


class Backend(ABC):
    """Every method raises BackendUnavailable when the cluster cannot be asked now, BackendError for what will not
    change by asking again."""

    @abstractmethod
    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        """The request for one attempt of a training, as a value. `resources` None: one node, whatever it has."""

    @abstractmethod
    def submit(self, request: RunRequest) -> str | None:
        """Starts the run, unless one of this name was ever started: then it does nothing. Returns where a person can
        look at it. Raises NoCapacity when nothing is free, and RunRefused where it is certain that there is no run and
        that asking again as it is will not help; after any other error there may be one."""

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str | BackendError | None]:
        """Submits each, in turn or several at a time; for each what `submit` returns, or the error that it raises."""
        answers: list[str | BackendError | None] = []
        for request in requests:
            try:
                answers.append(self.submit(request))
            except BackendError as error:
                answers.append(error)
        return answers

    @abstractmethod
    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """The status of each run; None for one that the cluster does not know. One that could not be looked up this
        time is missing."""

    @abstractmethod
    def cancel(self, name: str) -> None:
        """Asks the run to end, by force after a while. Idempotent; an unknown or ended run is no error."""

    @abstractmethod
    def logs(self, name: str, max_bytes: int = 65536) -> str:
        """The end of what the run has printed; empty when there is nothing."""

    @abstractmethod
    def capacity(self) -> Capacity:
        """How much room there is now."""
