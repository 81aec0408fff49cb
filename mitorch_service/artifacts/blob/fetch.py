"""Downloads the files of a data set from blob storage."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from azure.core.exceptions import AzureError

from mitorch_service.artifacts.blob.cache import BlobCache, NoRoom
from mitorch_service.artifacts.blob.client import RETRIES, open_blob
from mitorch_service.artifacts.blob.download import BlobVersion, DamagedBlob
from mitorch_service.artifacts.blob.storage_errors import is_denial, is_refusal, problem
from mitorch_service.artifacts.blob.url import BlobUrl
from mitorch_service.errors import ArtifactError, DataError, DataRefused

_PARALLEL = 4  # files at a time, each in several ranges
_SECONDS = 10.0  # between progress messages

log = logging.getLogger("mitorch")


def current_version(url: BlobUrl, retries: int = RETRIES) -> BlobVersion:
    """Returns the blob's current version. Raises DataRefused, DataError (such as a file that is not there),
    ArtifactError without an answer."""
    with blob_errors(url):
        return BlobVersion.current(open_blob(url, retries))


class BlobFetch:
    """The download of a data set's files, with progress in the log."""

    def __init__(self, name: str, cache: BlobCache) -> None:
        """`name`: of the data set, for messages."""
        self._name = name
        self._cache = cache
        self._lock = threading.Lock()
        self._versions: dict[BlobUrl, BlobVersion] = {}
        self._bytes = 0
        self._files = 0
        self._next_message = time.monotonic() + _SECONDS

    def fetch(self, places: Mapping[BlobUrl, Path], known: Mapping[BlobUrl, BlobVersion] | None = None) -> None:
        """Fetches each file to its path in a view of the cache, several at a time; stops at the first failure. `known`:
        versions that a listing has told.

        Raises DataRefused by the storage, DataError for files that are missing or damaged, ArtifactError for temporary
        failures.
        """
        pool = ThreadPoolExecutor(_PARALLEL)
        try:
            self._versions = {url: version for url, version in (known or {}).items() if url in places}
            rest = [url for url in places if url not in self._versions]
            self._versions |= dict(zip(rest, pool.map(current_version, rest), strict=True))
            self._log_progress()
            self._make_room()
            for _ in pool.map(self._one, places, places.values()):
                pass
        finally:
            pool.shutdown(cancel_futures=True)
        log.info("data set %s: all files are available", self._name)

    def _make_room(self) -> None:
        first = next(iter(self._versions))
        with blob_errors(first):
            self._cache.make_room({open_blob(url): version for url, version in self._versions.items()})

    def _one(self, url: BlobUrl, place: Path) -> None:
        with blob_errors(url):
            place.parent.mkdir(parents=True, exist_ok=True)
            self._cache.fetch(open_blob(url), self._versions[url], place, self._advance)
        with self._lock:
            self._files += 1

    def _advance(self, more: int) -> None:
        with self._lock:
            self._bytes += more
            if time.monotonic() >= self._next_message:
                self._next_message = time.monotonic() + _SECONDS
                self._log_progress()

    def _log_progress(self) -> None:
        size = sum(version.size for version in self._versions.values())
        files = f"{self._files} of {len(self._versions)} files"
        log.info("data set %s: %s available, %d of %d MB downloaded", self._name, files, self._bytes >> 20, size >> 20)


@contextmanager
def blob_errors(url: BlobUrl) -> Iterator[None]:
    """Raises the SDK's errors as ours: DataRefused, DataError, ArtifactError."""
    try:
        yield
    except AzureError as error:
        # not chained: the SDK's message quotes the request with its credentials
        text = problem(error, url.sas)
        if is_denial(error):
            raise DataRefused(f"{url}: {text}.") from None
        if is_refusal(error):
            raise DataError(f"{url}: {text}.") from None
        raise ArtifactError(url.name, str(url), text) from None
    except DamagedBlob:
        raise DataError(f"{url}: does not match its stored MD5: it is damaged. Upload it again.") from None
    except NoRoom as error:
        raise ArtifactError(url.name, str(url), f"{error}. Free space, or set MITORCH_HOME to a larger disk") from error
    except OSError as error:
        text = f"it cannot be cached here ({error.strerror or error}). MITORCH_HOME must be on a disk of this machine"
        raise ArtifactError(url.name, str(url), text) from error
