"""Caches blobs on this machine's disk, one copy for all processes; evicts the least recently used."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from azure.core.exceptions import ResourceModifiedError
from azure.storage.blob import BlobClient

from mitorch_service.artifacts.blob.download import Advance, BlobVersion, download_version
from mitorch_service.file_access import PRIVATE, FileAccess

_TRIES = 5  # if the blob is replaced during the download, or another process evicts the copy between two steps


class NoRoom(Exception):
    """The files do not fit on the disk, even after evicting everything unused."""

    def __init__(self, size: int, free: int) -> None:
        super().__init__(f"{size >> 20} MB do not fit on the cache's disk, which has {free >> 20} MB free")


class BlobCache:
    """A cache with one file per URL and ETag in ``files/``.

    A user of files has hard links to them in its own view, so that eviction never removes a file in use. A view is
    locked by its process, and removed once that has died.
    """

    def __init__(self, root: Path, limit: int, access: FileAccess = PRIVATE) -> None:
        """`limit`: bytes of files to keep, not counting files in use."""
        self._files = root / "files"
        self._views = root / "views"
        self._lock = root / "lock"
        self._limit = limit
        self._access = access
        for folder in (self._files, self._views):
            access.make_folder(folder)

    @contextmanager
    def view(self) -> Iterator[Path]:
        """Provides an empty folder to fetch files into; removes it at the end."""
        folder = self._views / uuid.uuid4().hex
        with self._alone():
            self._sweep()
            lock = self._locked(folder.with_suffix(".lock"))
            self._access.make_folder(folder)
        with lock:
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                folder.with_suffix(".lock").unlink(missing_ok=True)

    def make_room(self, wanted: Mapping[BlobClient, BlobVersion]) -> None:
        """Evicts files to make room for those of these blobs that are not cached. Raises NoRoom, OSError."""
        with self._alone():
            missing = [version.size for blob, version in wanted.items() if not self._touch(blob, version)]
            size, unused = sum(missing), _unused(self._files)
            total = sum(stat.st_size for _, stat in unused) + size
            for path, stat in unused:
                if not missing or (total <= self._limit and shutil.disk_usage(self._files).free > size):
                    return
                if self._evict(path):
                    total -= stat.st_size
            free = shutil.disk_usage(self._files).free
            if free < size:
                raise NoRoom(size, free)

    def fetch(self, blob: BlobClient, version: BlobVersion, place: Path, advance: Advance) -> None:
        """Links the cached or downloaded blob to `place` in a view. Raises AzureError, OSError, DamagedBlob."""
        for tries in range(_TRIES):
            kept = self._kept(blob, version)
            try:
                os.link(kept, place)
                return
            except FileNotFoundError:  # not cached yet, or evicted just now
                if tries == _TRIES - 1:
                    raise
            try:
                download_version(blob, version, kept, keep=True, advance=advance)
            except ResourceModifiedError:
                version = BlobVersion.current(blob)

    def _touch(self, blob: BlobClient, version: BlobVersion) -> bool:
        """Marks the blob as used now; returns whether it is cached."""
        try:
            os.utime(self._kept(blob, version))
        except FileNotFoundError:
            return False
        return True

    def _kept(self, blob: BlobClient, version: BlobVersion) -> Path:
        where = f"{blob.primary_hostname} {blob.account_name} {blob.container_name} {blob.blob_name}"
        return self._files / "-".join(hashlib.sha256(text.encode()).hexdigest()[:20] for text in (where, version.etag))

    def _sweep(self) -> None:
        for path in self._views.glob("*.lock"):
            with suppress(BlockingIOError), self._locked(path, wait=False):
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._locked(self._lock):
            yield

    def _evict(self, path: Path) -> bool:
        """Removes the file, unless a process is downloading it."""
        try:
            with self._locked(path, wait=False):
                path.unlink(missing_ok=True)
        except BlockingIOError:
            return False
        return True

    def _locked(self, path: Path, wait: bool = True) -> BinaryIO:
        """Opens and locks the file for this process and its forks. Without `wait`, raises BlockingIOError if it is
        locked."""
        file = open(path, "ab", opener=self._access.opener)  # noqa: SIM115 - the caller closes it
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            file.close()
            raise
        return file


def _unused(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Returns the files that are in no view, least recently used first."""
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # an incomplete file that was completed just now
            files.append((path, path.stat()))
    unused = (item for item in files if item[1].st_nlink == 1)
    return sorted(unused, key=lambda item: item[1].st_mtime)
