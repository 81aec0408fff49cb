"""The contract of a backend: a cluster on which runs execute."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.models.run import RunState


@dataclass(frozen=True)
class RunRequest:
    """Everything that a cluster needs to start a run, except secrets: those come by the backend's own way."""

    name: str  # the same for the same attempt of a training
    command: tuple[str, ...]


@dataclass(frozen=True)
class RunStatus:
    """A run as its cluster sees it, with the reason in words where it has ended badly."""

    state: RunState
    reason: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Capacity:
    """How many runs a cluster can hold, and how many more it can start now."""

    total: int
    free: int


class Backend(ABC):
    """Every method raises BackendUnavailable when the cluster cannot be asked now, BackendError for what will not
    change by asking again."""

    @abstractmethod
    def prepare(self, training_id: str, attempt: int) -> RunRequest:
        """The request for one attempt of a training, as a value."""

    @abstractmethod
    def submit(self, request: RunRequest) -> str | None:
        """Starts the run, unless one of this name was ever started: then it does nothing. Returns where a person can
        look at it. Raises NoCapacity when nothing is free."""

    @abstractmethod
    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """The status of each run; None for one that the cluster does not know."""

    @abstractmethod
    def cancel(self, name: str) -> None:
        """Asks the run to end, by force after a while. Idempotent; an unknown or ended run is no error."""

    @abstractmethod
    def logs(self, name: str, max_bytes: int = 65536) -> str:
        """The end of what the run has printed; empty when there is nothing."""

    @abstractmethod
    def capacity(self) -> Capacity:
        """How much room there is now."""
