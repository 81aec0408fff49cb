"""Reads and writes the files of a datastore's container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mitorch_service.artifacts.blob.url import BlobUrl
from mitorch_service.artifacts.datastore_urls import file_url
from mitorch_service.errors import MissingExtra
from mitorch_service.models.blob_storage.datastore import Datastore

_TERM = timedelta(hours=1)  # of a token that is made for one task


@dataclass(frozen=True)
class DatastoreContainer:
    """A datastore's container. Every method raises DataRefused, DataError, ArtifactError, MissingExtra."""

    datastore: Datastore

    def below(self, folder: str) -> Iterator[str]:
        """Yields the names of all blobs below a folder; of the whole container, if it is empty."""
        with _azure_extra():
            from mitorch_service.artifacts.blob.folder_listing import blobs_in
        for url, _ in blobs_in(self._url(folder)):
            yield url.name

    def lines(self, name: str, encoding: str) -> Iterator[str]:
        """Yields the lines of a text file; bytes that are none are replaced."""
        with _azure_extra():
            from mitorch_service.artifacts.blob.folder_listing import text_lines
        return text_lines(self._url(name), encoding)

    def content(self, name: str) -> bytes:
        """Returns a file whole, which must fit into memory."""
        with _azure_extra():
            from mitorch_service.artifacts.blob.small_file import read_file
        return read_file(self._url(name))

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file, in the place of one of this name. A SAS token of the datastore needs the permissions
        rcwl."""
        with _azure_extra():
            from mitorch_service.artifacts.blob.small_file import write_file
        write_file(self._url(name, "racwl"), content)

    def _url(self, name: str, permission: str = "rl") -> BlobUrl:
        with _azure_extra():
            return BlobUrl.parse(
                file_url(self.datastore, name, datetime.now(UTC) + _TERM, permission).replace("/?", "?")
            )


@contextmanager
def _azure_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azure-storage-blob", "azure") from error
