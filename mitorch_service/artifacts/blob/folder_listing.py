"""Lists the blobs of a folder in blob storage, with their versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mitorch_service.artifacts.blob.client import RETRIES, open_blob, open_container
from mitorch_service.artifacts.blob.download import BlobVersion
from mitorch_service.artifacts.blob.fetch import blob_errors
from mitorch_service.artifacts.blob.url import BlobRoot, BlobUrl

_DIRECTORY = "hdi_isfolder"  # the metadata of an entry that a hierarchical namespace keeps for a folder


def blobs_in(folder: BlobUrl, retries: int = RETRIES) -> Iterator[tuple[BlobUrl, BlobVersion]]:
    """Yields every blob below the folder (the container, if it has no name), some thousands with each request. Needs
    the permission to list. Raises DataRefused, DataError, ArtifactError without an answer."""
    prefix = f"{folder.name}/" if folder.name else ""
    with blob_errors(folder):
        container = open_container(BlobRoot(folder.container, url=folder), retries)
        for found in container.list_blobs(name_starts_with=prefix, include=["metadata"]):
            if found.name.endswith("/") or (found.metadata or {}).get(_DIRECTORY) == "true":
                continue
            md5 = found.content_settings.content_md5
            version = BlobVersion(str(found.etag), int(found.size), bytes(md5) if md5 else None)
            yield replace(folder, name=str(found.name)), version


def text_lines(blob: BlobUrl, encoding: str = "utf-8") -> Iterator[str]:
    """Yields the lines of a text file while it is downloaded; bytes that are none of the encoding are replaced. Raises
    as `blobs_in` does."""
    rest = b""
    with blob_errors(blob):
        for chunk in open_blob(blob).download_blob().chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(encoding, "replace") for line in lines)
        if rest:
            yield rest.decode(encoding, "replace")
