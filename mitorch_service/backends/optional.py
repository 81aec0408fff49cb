"""Optional capabilities of backends, each a small contract. They raise the same errors as a Backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mitorch_service.cluster_settings.azureml_cluster import CreateProfile
from mitorch_service.errors import BackendError
from mitorch_service.models.blob_storage.datastore import Datastore


@dataclass(frozen=True)
class LiveRun:
    """A run of a training that waits or runs on a cluster, whoever started it."""

    name: str
    nodes: int = 1
    since: datetime | None = None  # when it was started; None: the cluster does not say


class RunListing(ABC):
    """The runs of trainings that a cluster has at the moment."""

    @abstractmethod
    def live_runs(self) -> list[LiveRun]:
        """Returns the runs that wait or run, however many have ended, in one call. A very new one may be missing."""


class DatastoreRegistry(ABC):
    """The blob containers registered by name in a workspace."""

    @abstractmethod
    def datastores(self) -> list[Datastore]:
        """Returns all datastores, sorted by name, without their credentials."""

    @abstractmethod
    def datastore(self, name: str) -> Datastore:
        """Returns a datastore with its credential. Raises BackendError with similar names if there is none."""

    @abstractmethod
    def default_datastore(self) -> Datastore:
        """Returns the workspace's default datastore with its credential. Raises BackendError if there is none for
        blobs."""

    @abstractmethod
    def register_datastore(self, datastore: Datastore) -> None:
        """Registers a datastore. Idempotent; a new credential replaces the old one.

        Raises BackendError if the name is registered for another container, because existing paths would change their
        meaning.
        """


@dataclass(frozen=True)
class DataAsset:
    """A version of a workspace's data set (v1) or data asset (v2): where its data is, nothing of it."""

    name: str
    version: str
    kind: str  # file or tabular (v1); uri_file, uri_folder or mltable (v2)
    definition: str | None  # of what it reads and how, as a file MLTable says it; None: that is in the data
    path: str | None  # azureml://…, of a v2 asset


class DataAssets(ABC):
    """The data sets of a workspace."""

    @abstractmethod
    def data_asset(self, name: str, version: str | None) -> DataAsset:
        """Returns a version, the newest for None. Raises BackendError naming the workspace if there is none."""


@dataclass(frozen=True)
class ModelEntry:
    """A model to register."""

    name: str
    folder: Path  # contains the model's files and nothing else
    identity: Mapping[str, str]  # tags that identify the model: what was trained, and the hash of its weights
    description: str
    tags: Mapping[str, str] = field(default_factory=dict)  # for searching and comparing
    properties: Mapping[str, str] = field(default_factory=dict)  # immutable


@dataclass(frozen=True)
class RegisteredModel:
    """A version in the registry."""

    name: str
    version: int
    is_new: bool  # False: it was registered before


class ModelRegistry(ABC):
    """A registry of models, with numbered versions under each name."""

    @abstractmethod
    def register_model(self, entry: ModelEntry) -> RegisteredModel:
        """Uploads the files as the name's next version, unless a version with the same identity exists."""


class ComputeCreation(ABC):
    """The creation of compute clusters in the cloud."""

    @abstractmethod
    def create_compute(self, name: str, profile: CreateProfile) -> bool:
        """Starts the creation of a compute and returns without waiting for it; returns False if there is one of this
        name. Raises BackendError if an earlier creation failed."""


class HealthCheck(ABC):
    """A check that a cloud can be used with the current settings."""

    @abstractmethod
    def findings(self) -> Iterator[tuple[str, str | BackendError]]:
        """Yields the name of each check and its result, or the error with its remedy, as soon as it is known.

        Skips checks that depend on a failed one. Raises nothing.
        """
