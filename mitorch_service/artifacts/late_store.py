"""Stores artifacts where somebody must be asked for the address, and reads what was kept in a folder before."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.folder import FolderArtifactStore


class LateArtifactStore(ArtifactStore):
    """Opens its store when it is first needed. What lies in the folder of earlier trainings is read from there, and
    nothing is added to it."""

    def __init__(self, open_store: Callable[[], ArtifactStore], folder: FolderArtifactStore) -> None:
        """`open_store` raises ArtifactError, SettingsError, MissingExtra."""
        self._open = open_store
        self._folder = folder

    def put(self, key: str, source: Path) -> str:
        address = self._store.put(key, source)
        if self._folder.exists(key):  # the older one would be read in its place
            self._folder.put(key, source)
        return address

    def get(self, key: str, target: Path) -> None:
        (self._folder if self._folder.exists(key) else self._store).get(key, target)

    def exists(self, key: str) -> bool:
        return self._folder.exists(key) or self._store.exists(key)

    def path_for_runs(self, key: str) -> str:
        return self._store.path_for_runs(key)

    def keys(self, prefix: str) -> list[str]:
        return sorted({*self._folder.keys(prefix), *self._store.keys(prefix)})

    def delete(self, prefix: str) -> int:
        return self._folder.delete(prefix) + self._store.delete(prefix)

    def check(self) -> str:
        return self._store.check()

    @cached_property
    def _store(self) -> ArtifactStore:
        return self._open()
