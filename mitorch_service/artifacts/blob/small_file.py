"""Reads and writes small files in blob storage."""

from __future__ import annotations

from mitorch_service.artifacts.blob.client import open_blob
from mitorch_service.artifacts.blob.fetch import blob_errors
from mitorch_service.artifacts.blob.url import BlobUrl


def read_file(blob: BlobUrl) -> bytes:
    """Returns a file whole. Raises DataRefused, DataError, ArtifactError without an answer."""
    with blob_errors(blob):
        return bytes(open_blob(blob).download_blob().readall())


def write_file(blob: BlobUrl, content: bytes) -> None:
    """Writes a file by one request, in the place of one of this name. Raises DataRefused without the permission,
    DataError, ArtifactError without an answer."""
    with blob_errors(blob):
        open_blob(blob).upload_blob(content, overwrite=True)
