"""The contract of a signed-in connection to a workspace, by either SDK. Every method raises BackendError and the SDK's
own errors; threads may share a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.backends.optional import LiveRun
from mitorch_service.cluster_settings.azureml_cluster import CreateProfile


class WorkspaceRuns(Protocol):
    """The runs of an experiment, each a value of the SDK."""

    def find(self, names: Sequence[str]) -> Mapping[str, Any]:
        """Returns the runs with these names that run history shows, in one call per hundred."""

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """Returns statuses as `Backend.describe` does."""

    def cancel(self, name: str) -> None:
        """Requests cancellation, as `Backend.cancel` does."""

    def log(self, name: str, max_bytes: int) -> bytes:
        """Returns the last `max_bytes` of the output of the run's first process."""

    def url(self, run: Any) -> str:
        """Returns the address where a person can view the run."""


class WorkspaceConnection(Protocol):
    """A connection to one workspace and one experiment in it."""

    @property
    def runs(self) -> WorkspaceRuns:
        """The runs of the experiment."""

    def submit(self, request: AzureMLRequest, folder: Path) -> str | None:
        """Starts the run; returns the address where a person can view it, if it is known. `folder`: the code."""

    def capacity(self) -> Capacity:
        """Returns the capacity of the compute."""

    def live_runs(self) -> list[LiveRun]:
        """Returns the runs that occupy the cluster, or wait for it."""

    def ensure_compute(self, name: str) -> None:
        """Returns if the compute of this name accepts runs."""

    def create_compute(self, name: str, profile: CreateProfile) -> bool:
        """Starts the creation of a compute; returns False if there is one of this name."""

    def store_secrets(self, secrets: Mapping[str, str]) -> None:
        """Writes the secrets that are missing or differ to the key vault."""
