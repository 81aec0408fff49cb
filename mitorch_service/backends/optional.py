"""What some clouds can do beside running: each a small contract of its own. Errors are those of a Backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mitorch_service.errors import BackendError
from mitorch_service.models.datastore import Datastore


class Datastores(ABC):
    """The blob containers that a workspace knows by a name."""

    @abstractmethod
    def datastores(self) -> list[Datastore]:
        """All of them, by name, without their credentials."""

    @abstractmethod
    def datastore(self, name: str) -> Datastore:
        """One, with its credential. Raises BackendError naming those that are like it."""

    @abstractmethod
    def register_datastore(self, datastore: Datastore) -> None:
        """Idempotent; a credential replaces the one before. Raises BackendError where the name stands for another
        container, as paths with it would change what they mean."""


@dataclass(frozen=True)
class ModelEntry:
    """A model as it goes into a registry."""

    name: str
    folder: Path  # of its files; nothing else is in it
    identity: Mapping[str, str]  # the tags that make two models the same: what was trained, and the hash of its weights
    description: str
    tags: Mapping[str, str] = field(default_factory=dict)  # what one searches and compares by
    properties: Mapping[str, str] = field(default_factory=dict)  # what never changes


@dataclass(frozen=True)
class RegisteredModel:
    """One version in the registry."""

    name: str
    version: int
    is_new: bool  # False: it was there already


class ModelRegistry(ABC):
    """Models under names, in numbered versions."""

    @abstractmethod
    def register_model(self, entry: ModelEntry) -> RegisteredModel:
        """Uploads the files as the name's next version, unless a version of the same identity is there."""


class SelfCheck(ABC):
    """Whether a cloud can be used as the settings say."""

    @abstractmethod
    def findings(self) -> Iterator[tuple[str, str | BackendError]]:
        """What was checked, and what was found or is wrong with the remedy: one after the other, as they are asked.
        What cannot be asked because of what is wrong is left out. Raises nothing."""
