"""Downloading one blob, going on where an earlier download was cut off."""

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

RANGE = 8 << 20  # bytes of one request
PARALLEL = 4  # requests of one file at a time
_TRIES = 3  # when the blob is replaced while it is read, or what came does not fit its MD5

Advance = Callable[[int], object]  # called with how many bytes more are there


class DamagedBlob(Exception):
    """What was read does not fit the size or MD5 that the storage tells, even when all of it was read anew."""


@dataclass(frozen=True)
class BlobVersion:
    """The content that a blob has at one time."""

    etag: str
    size: int  # bytes
    md5: bytes | None  # None: whoever stored it told none

    @classmethod
    def current(cls, blob: BlobClient) -> BlobVersion:
        """Asks the storage. Raises AzureError."""
        found = blob.get_blob_properties()
        md5 = found.content_settings.content_md5
        return cls(found.etag, found.size, bytes(md5) if md5 else None)


def download(blob: BlobClient, target: Path) -> None:
    """Brings the blob to `target`, which is what it was or the whole copy; checked by size and MD5. If the blob is
    replaced meanwhile, the new content is read, never a mixture. Raises AzureError, OSError, DamagedBlob."""
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
    """As `download`, of that content only; with `keep` a target that another process brought meanwhile is left as it
    is. One process at a time loads a version to a target; the others wait. Raises ResourceModifiedError, too."""
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
    """The file, locked until the end; a killed process's lock ends with it."""
    while True:
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_still(file, part):  # not renamed or removed by who had the lock before
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
    """Appends what is missing; returns whether the whole is right."""
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
        file.flush()  # what a killed process had is what the next one finds
        digest.update(data)
        advance(len(data))
    os.fsync(file.fileno())
    return file.tell() == version.size and version.md5 in (None, digest.digest())


def _ranges(blob: BlobClient, version: BlobVersion, start: int) -> Iterator[bytes]:
    """The rest of the blob from `start` on, in order; a few ranges are on their way at a time."""
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
