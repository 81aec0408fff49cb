"""The contract of an artifact store, which holds files of trainings under keys such as ``<id>/model.pth``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path


class ArtifactStore(ABC):
    """Stores files under keys, which are relative paths with ``/``.

    Several processes may use a store at the same time; of simultaneous writes to a key one wins as a whole. Every
    method raises ArtifactError, with the storage's reason and a remedy, if the storage fails, and InvalidKey, before
    anything is asked of the storage, for a key that leads out of the store or under which no file can be stored.
    """

    @abstractmethod
    def put(self, key: str, source: Path) -> str:
        """Stores a copy of the file and returns its address, without credentials.

        Atomic: at any time, even after an interruption, the key has the old file or the complete new one. Idempotent.
        """

    @abstractmethod
    def get(self, key: str, target: Path) -> None:
        """Copies the stored file to `target`, whose folder must exist.

        Atomic: `target` is unchanged or the complete copy. Raises ArtifactError if there is no file under the key.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether a file is stored under the key."""

    @abstractmethod
    def path_for_runs(self, key: str) -> str:
        """Returns the path or URL by which a data set names the file under the key: with a SAS token if one is needed
        to read it, so that it is a secret. Nothing is asked of the storage for it."""

    @abstractmethod
    def keys(self, prefix: str) -> list[str]:
        """Returns the keys of all files below the prefix (``<id>/``), sorted; empty if there are none."""

    @abstractmethod
    def delete(self, prefix: str) -> int:
        """Deletes all files below the prefix (``<id>/``); returns their number. Idempotent, but not atomic."""

    @abstractmethod
    def check(self) -> str:
        """Writes, reads and deletes a small file; returns the address of the store, without credentials."""
