"""Optional capabilities of backends, each a small contract. They raise the same errors as a Backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mitorch_service.errors import BackendError
from mitorch_service.models.datastore import Datastore


class DatastoreRegistry(ABC):
    """The blob containers registered by name in a workspace."""

    @abstractmethod
    def datastores(self) -> list[Datastore]:
        """Returns all datastores, sorted by name, without their credentials."""

    @abstractmethod
    def datastore(self, name: str) -> Datastore:
        """Returns a datastore with its credential. Raises BackendError with similar names if there is none."""

    @abstractmethod
    def register_datastore(self, datastore: Datastore) -> None:
        """Registers a datastore. Idempotent; a new credential replaces the old one.

        Raises BackendError if the name is registered for another container, because existing paths would change their
        meaning.
        """


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


class HealthCheck(ABC):
    """A check that a cloud can be used with the current settings."""

    @abstractmethod
    def findings(self) -> Iterator[tuple[str, str | BackendError]]:
        """Yields the name of each check and its result, or the error with its remedy, as soon as it is known.

        Skips checks that depend on a failed one. Raises nothing.
        """
