"""The contract of an artifact store: files of trainings (weights, logs) under keys such as ``<id>/model.pth``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path


class ArtifactStore(ABC):
    """Keys are relative paths with ``/``. Every method raises ArtifactError, with what the storage said."""

    @abstractmethod
    def put(self, key: str, source: Path) -> str:
        """Stores a copy of the file and returns its address, which holds no credential. The key shows the old file or
        the whole new one, never a part of it, whatever is interrupted."""

    @abstractmethod
    def get(self, key: str, target: Path) -> None:
        """Copies the stored file to `target`, which is what it was or the whole copy, never a part of it. Raises
        ArtifactError when there is none."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether a whole file is stored under the key."""

    @abstractmethod
    def keys(self, prefix: str) -> list[str]:
        """The keys of all files below the prefix (``<id>/``), sorted."""

    @abstractmethod
    def delete(self, prefix: str) -> int:
        """Deletes every file below the prefix (``<id>/``); returns how many there were."""

    @abstractmethod
    def check(self) -> str:
        """Writes, reads and deletes a small file; returns where that was."""
