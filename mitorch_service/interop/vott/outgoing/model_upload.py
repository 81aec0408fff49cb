"""Stores a packed model where a message asked for it."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.errors import MissingExtra
from mitorch_service.interop.vott.outgoing.destination import Destination, OwnBlob, S3Object
from mitorch_service.interop.vott.web.exchange import Web

SECONDS = 1800.0  # for a whole file
_TYPE = {"Content-Type": "application/gzip"}
_BLOB = {"x-ms-blob-type": "BlockBlob"}  # which Azure requires of a PUT that makes a blob


def upload_model(web: Web, target: Destination, file: Path) -> None:
    """Uploads the file; again, it replaces the same file. Raises Refused, Unavailable, MissingExtra, OSError."""
    if isinstance(target, S3Object):
        try:
            from mitorch_service.interop.vott.outgoing.s3_upload import upload_to_s3
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "boto3", "s3") from error
        upload_to_s3(target, file)
        return
    if isinstance(target, OwnBlob):
        try:
            from mitorch_service.interop.vott.outgoing.blob_upload import upload_to_account
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "azure-storage-blob", "consume") from error
        upload_to_account(target, file)
        return
    headers = {**_TYPE, **(_BLOB if target.is_blob else {})}
    with file.open("rb") as body:
        web.send("PUT", target.address, body, file.stat().st_size, seconds=SECONDS, headers=headers)
