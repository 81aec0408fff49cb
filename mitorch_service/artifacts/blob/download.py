"""Downloads a blob, resuming an interrupted download."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError
from azure.storage.blob import BlobClient

RANGE = 8 << 20  # bytes per request
PARALLEL = 4  # requests per file at a time
_TRIES = 3  # if the blob is replaced during the download

Advance = Callable[[int], object]  # called with the number of further bytes available


class DamagedBlob(Exception):
    """The content does not match the storage's size or MD5, even after a complete second download."""


@dataclass(frozen=True)
class BlobVersion:
    """A version of a blob's content."""

    etag: str
    size: int  # bytes
    md5: bytes | None  # None: stored without one

    @classmethod
    def current(cls, blob: BlobClient) -> BlobVersion:
        """Requests the current version. Raises AzureError."""
        found = blob.get_blob_properties()
        md5 = found.content_settings.content_md5
        return cls(found.etag, found.size, bytes(md5) if md5 else None)


def download(blob: BlobClient, target: Path) -> None:
    """Downloads the blob to `target` atomically, and checks its size and MD5.

    If the blob is replaced meanwhile, downloads the new content, never a mixture. Raises AzureError, OSError,
    DamagedBlob.
    """
    for tries in range(_TRIES):
        try:
            download_version(blob, BlobVersion.current(blob), target)
            return
        except ResourceModifiedError:
            if tries == _TRIES - 1:
                raise


def download_version(
    blob: BlobClient, version: BlobVersion, target: Path, keep: bool = False, advance: Advance = lambda _: None
) -> None:
    """Downloads a version of the blob as `download` does; raises ResourceModifiedError if it has been replaced.

    One process at a time downloads a version to a target; the others wait. `keep`: do not replace a target that another
    process has downloaded meanwhile.
    """
    mark = hashlib.sha256(version.etag.encode()).hexdigest()[:16]
    part = target.with_name(f".part-{target.name[:200]}-{mark}")
    with _alone(part) as file:
        if keep and target.exists():
            part.unlink()
            return
        try:
            _fill_checked(file, blob, version, advance)
        except ResourceModifiedError:
            part.unlink()
            raise
        part.replace(target)


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """Opens the file, locked until the context ends or the process dies."""
    while True:
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_still(file, part):  # not renamed or removed by the previous holder of the lock
                yield file
                return


def _is_still(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _fill_checked(file: BinaryIO, blob: BlobClient, version: BlobVersion, advance: Advance) -> None:
    resumed = file.seek(0, os.SEEK_END) > 0
    if _fill(file, blob, version, advance):
        return
    file.truncate(0)
    if not resumed or not _fill(file, blob, version, lambda _: None):
        file.truncate(0)
        raise DamagedBlob


def _fill(file: BinaryIO, blob: BlobClient, version: BlobVersion, advance: Advance) -> bool:
    """Appends the missing bytes; returns whether size and MD5 match."""
    if file.seek(0, os.SEEK_END) > version.size:
        file.truncate(0)
    file.seek(0)
    digest, there = hashlib.md5(usedforsecurity=False), 0
    while data := file.read(RANGE):
        digest.update(data)
        there += len(data)
    advance(there)
    for data in _ranges(blob, version, there):
        file.write(data)
        file.flush()  # so that another process can resume if this one is killed
        digest.update(data)
        advance(len(data))
    os.fsync(file.fileno())
    return file.tell() == version.size and version.md5 in (None, digest.digest())


def _ranges(blob: BlobClient, version: BlobVersion, start: int) -> Iterator[bytes]:
    """Yields the blob from `start` on, in order, downloading several ranges at a time."""
    coming: deque[Future[bytes]] = deque()
    pool = ThreadPoolExecutor(PARALLEL, "download")
    try:
        for offset in range(start, version.size, RANGE):
            if len(coming) == PARALLEL:
                yield coming.popleft().result()
            coming.append(pool.submit(_range, blob, version, offset))
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _range(blob: BlobClient, version: BlobVersion, offset: int) -> bytes:
    stream = blob.download_blob(
        offset,
        min(RANGE, version.size - offset),
        etag=version.etag,
        match_condition=MatchConditions.IfNotModified,
        max_concurrency=1,
    )
    return stream.readall()
