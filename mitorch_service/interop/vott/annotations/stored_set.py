"""Stores the data set of an annotation file in the artifact store, from which nodes of any cluster read it."""

from __future__ import annotations

import csv
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from mitorch_service.annotations.writers.csv_rows import CsvRows
from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError, MissingExtra, SettingsError
from mitorch_service.file_access import FileAccess
from mitorch_service.interop.content_folder import content_digest
from mitorch_service.interop.vott.annotations.annotated_set import AnnotatedSet
from mitorch_service.interop.vott.annotations.disk_trouble import disk_trouble_of
from mitorch_service.interop.vott.web.exchange import Unavailable
from mitorch_service.models.dataset import DatasetSplit

KEYS = "datasets/vott"  # of all sets; the ids of trainings, under which the other artifacts are, are GUIDs
_LABELS = "labels.txt"
_ARCHIVE_BYTES = 256 << 20  # a run fetches few large files faster than many small ones
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files give the same archive
_MODE = 0o100600 << 16  # of a file, for its owner


@dataclass(frozen=True)
class StoredSet:
    """A data set as the registry names it: with SAS tokens where its files need them."""

    digest: str  # names its content, on whatever machine it was made
    splits: Mapping[str, DatasetSplit]


class SetStorage:
    """Stores data sets under keys that their content names. What is there is not sent again."""

    def __init__(self, artifacts: ArtifactStore, folder: Path, access: FileAccess, stopped: Callable[[], bool]) -> None:
        """`folder`: for temporary files, of some hundred MB."""
        self._artifacts = artifacts
        self._folder = folder
        self._access = access
        self._stopped = stopped

    def store(self, made: AnnotatedSet) -> StoredSet:
        """Stores the files of a set, the images in archives without compression; the tables, which name these, last.

        Raises ArtifactError if the store or this machine's disk does not take them, Unavailable once `stopped` says so.
        """
        work = self._folder / f".{uuid.uuid4().hex}.part"
        tables = work / "tables"
        with self._told():
            try:
                self._access.make_folder(work)
                self._access.make_folder(tables)
                images = _Archives()
                for name, path in made.splits.items():
                    images.rewrite(path, tables / f"{name}.csv")
                shutil.copyfile(made.labels, tables / _LABELS)
                digest = content_digest(tables)
                keys = f"{KEYS}/{digest}"
                for name, members in images.archives.items():
                    self._put(f"{keys}/{name}", partial(_pack, members, work / "archive"))
                for name in (_LABELS, *(f"{split}.csv" for split in made.splits)):
                    self._put(f"{keys}/{name}", partial(Path, tables, name))
                support = [self._artifacts.path_for_runs(f"{keys}/{name}") for name in (_LABELS, *images.archives)]
                paths = {name: self._artifacts.path_for_runs(f"{keys}/{name}.csv") for name in made.splits}
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return StoredSet(digest, {name: DatasetSplit(path=path, support_files=support) for name, path in paths.items()})

    def _put(self, key: str, make: Callable[[], Path]) -> None:
        if self._stopped():
            raise Unavailable("stopped while images were stored")
        if not self._artifacts.exists(key):
            self._artifacts.put(key, make())

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with disk_trouble_of(self._folder):
                yield
        except (SettingsError, MissingExtra) as error:  # of a workspace that was asked late; not the message's
            raise ArtifactError("the data set", "the artifact store", str(error)) from error


class _Archives:
    """The archives in which the images of the tables are, in the order in which these name them."""

    def __init__(self) -> None:
        self.archives: dict[str, list[Path]] = {}
        self._entries: dict[str, str] = {}  # the image's path -> ARCHIVE@NAME
        self._bytes = _ARCHIVE_BYTES  # in the last archive

    def rewrite(self, table: Path, target: Path) -> None:
        """Writes a table anew, with each image as a member of its archive."""
        with table.open(encoding="utf-8", newline="") as read, target.open("w", encoding="utf-8", newline="") as write:
            rows, written = csv.reader(read), CsvRows(write)
            written.writerow(next(rows))
            for image, *rest in rows:
                written.writerow((self._entries.get(image) or self._add(Path(image)), *rest))

    def _add(self, image: Path) -> str:
        size = image.stat().st_size
        if self._bytes + size > _ARCHIVE_BYTES:
            self.archives[f"images-{len(self.archives) + 1}.zip"] = []
            self._bytes = 0
        self._bytes += size
        name = next(reversed(self.archives))
        self.archives[name].append(image)
        return self._entries.setdefault(str(image), f"{name}@{image.name}")


def _pack(images: list[Path], target: Path) -> Path:
    """Writes an archive that follows from the images alone, byte for byte."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for image in images:
            with image.open("rb") as file:
                _add_member(archive, image.name, image.stat().st_size, file)
    return target


def _add_member(archive: zipfile.ZipFile, name: str, size: int, file: IO[bytes]) -> None:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system, member.external_attr, member.file_size = 3, _MODE, size
    with archive.open(member, "w") as written:
        shutil.copyfileobj(file, written, 1 << 20)
