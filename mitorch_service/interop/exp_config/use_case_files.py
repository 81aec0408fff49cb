"""The files of a use case: versions in ``datasets``, pictures in ``images``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.models.dataset import DatasetSplit

VERSIONS, IMAGES = "datasets", "images"


class UseCaseFiles(ABC):
    """The place of the files: in a datastore, or on this machine."""

    where: str  # the folder of the versions, for messages

    @abstractmethod
    def names(self) -> list[str]:
        """Returns the names of the files in the folder of the versions."""

    @abstractmethod
    def lines(self, name: str) -> Iterator[str]:
        """Yields the lines of a version."""

    @abstractmethod
    def split(self, name: str) -> DatasetSplit:
        """Returns the split that a version is, with the folder of its images."""


class MountedFiles(UseCaseFiles):
    """A folder of this machine: a mounted container, or a copy of it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the use case."""
        self._folder = folder.absolute()
        self.where = str(self._folder / VERSIONS)

    def names(self) -> list[str]:
        return sorted(path.name for path in (self._folder / VERSIONS).iterdir() if path.is_file())

    def lines(self, name: str) -> Iterator[str]:
        with (self._folder / VERSIONS / name).open(encoding="utf-8", errors="replace", newline="") as file:
            yield from file

    def split(self, name: str) -> DatasetSplit:
        return DatasetSplit(path=str(self._folder / VERSIONS / name), support_files=[str(self._folder / IMAGES)])


def mounted_files(mount: str, use_case: str, folder: Path) -> MountedFiles | None:
    """Returns the use case's files below a folder, or None if there is no such folder. `mount`: relative to
    `folder`."""
    place = folder / Path(mount).expanduser() / use_case if "\0" not in mount else folder
    return MountedFiles(place) if (place / VERSIONS).is_dir() else None
