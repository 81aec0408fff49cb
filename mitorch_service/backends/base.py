"""The contract of a backend: a cluster that executes runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mitorch_service.errors import BackendError
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources


@dataclass(frozen=True)
class RunRequest:
    """Everything that a cluster needs to start a run, except secrets, which the backend passes on its own way."""

    name: str  # the same for the same attempt of a training
    command: tuple[str, ...]
    nodes: int = 1  # the command is started on each, as one distributed run
    gpus: int | None = None  # that the training needs of each node; None: all that a node has


@dataclass(frozen=True)
class RunStatus:
    """The status that a cluster reports for a run, with the reason in words if it failed or was killed."""

    state: RunState
    reason: str | None = None
    exit_code: int | None = None
    guessed: bool = field(default=False, compare=False)  # the exit code was read in the cluster's words: only a help
    preempted: bool = field(default=False, compare=False)  # its node was taken away, or its time limit was reached
    timed_out: bool = field(default=False, compare=False)  # the latter
    canceled: bool = field(default=False, compare=False)  # somebody ended it on the cluster, or we did
    message: str | None = field(default=None, compare=False)  # the cluster's own for its end, if not in `reason`
    word: str | None = field(default=None, compare=False)  # the cluster's own word for the state, for people
    since: datetime | None = field(default=None, compare=False)  # when that state began, or the run was submitted
    url: str | None = field(default=None, compare=False)  # where a person can view the run

    def seen_as(self, word: str, since: datetime | None, url: str | None) -> RunStatus:
        """Returns the same status with what the cluster tells people."""
        return replace(self, word=word, since=since, url=url)


@dataclass(frozen=True)
class Capacity:
    """The number of nodes of a cluster, and how many of them are free for new runs."""

    total: int  # including nodes that the cluster would allocate on demand
    free: int
    gpus: int | None = field(default=None, compare=False)  # per node; None: the cluster does not report it


class Backend(ABC):
    """A cluster that executes runs, each identified by its name.

    A run name is executed at most once, however often and by however many processes it is submitted. Methods may be
    called from several threads. Every method that contacts the cluster raises BackendUnavailable if it cannot be
    reached now, so that the same call may succeed later, and BackendError if repeating the call will not help.
    """

    def load(self) -> None:  # noqa: B027 - most need nothing
        """Imports what the calls below need, once. On a cold machine that takes many seconds, which are no time of the
        cluster's. Raises nothing."""

    @abstractmethod
    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        """Returns the request for one attempt of a training. Does not contact the cluster.

        The same arguments give the same request. `resources` None: one node with whatever it has.
        """

    @abstractmethod
    def submit(self, request: RunRequest) -> str | None:
        """Starts the run and returns the address where a person can view it, or None if it has none.

        Idempotent: if a run of this name was ever started, only returns its address. Returns before the run begins.
        Raises NoCapacity if no node is free, and RunRefused if the run certainly does not exist and resubmitting the
        same request will not help. After any other error the run may exist; `describe` tells.
        """

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str | BackendError | None]:
        """Submits the requests, in order or in parallel. Returns, in their order, the result of `submit` for each, or
        the BackendError that it raised; one failure does not stop the others."""
        answers: list[str | BackendError | None] = []
        for request in requests:
            try:
                answers.append(self.submit(request))
            except BackendError as error:
                answers.append(error)
        return answers

    @abstractmethod
    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """Returns the status of each run, or None for a run that does not exist on the cluster.

        A run that could not be looked up this time is missing from the result.
        """

    @abstractmethod
    def cancel(self, name: str) -> None:
        """Asks the run to end and returns without waiting for it; the cluster kills it after a grace period.

        Idempotent. Does nothing for a run that has ended or does not exist.
        """

    @abstractmethod
    def logs(self, name: str, max_bytes: int = 65536) -> str:
        """Returns the last `max_bytes` of the run's output; empty if there is none or the run does not exist."""

    @abstractmethod
    def capacity(self) -> Capacity:
        """Returns the current capacity."""
