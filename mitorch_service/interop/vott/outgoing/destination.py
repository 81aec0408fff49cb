"""Reads where a model is to be stored: a blob or container by its SAS or in an own account, a presigned address, or a
bucket of S3."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.vott.message import SOURCE
from mitorch_service.interop.vott.outgoing.storage_account import StorageAccount
from mitorch_service.interop.vott.web.web_address import BadAddress, WebAddress, web_address
from mitorch_service.models.blob_storage.blob_names import blob_name_problem, can_be_asked_for

FILE = "model.tgz"
_LONGEST_KEY = 1024  # bytes, of an object of S3
_ARCHIVE = re.compile(r"\.(tgz|tar\.gz|zip|tar)$", re.IGNORECASE)
# https://BUCKET.s3.REGION.amazonaws.com/KEY, https://s3.REGION.amazonaws.com/BUCKET/KEY
_HOSTED = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(\.cn)?")
_PATHS = re.compile(r"s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(\.cn)?")
_BLOBS = re.compile(r"[a-z0-9]{3,24}\.blob\.core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)", re.IGNORECASE)
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])+")  # not $web, $logs and their kind
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class PutAddress:
    """An address that takes the file by PUT."""

    address: WebAddress
    is_blob: bool  # of Azure Blob Storage, by a SAS token

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True)
class S3Object:
    """An object of a bucket, for which this machine has credentials."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class OwnBlob:
    """A blob in an account for which this machine has credentials."""

    account: StorageAccount
    container: str
    name: str

    def __str__(self) -> str:
        return f"{str(self.account.endpoint).rstrip('/')}/{self.container}/{self.name}"


Destination = PutAddress | S3Object | OwnBlob


def parse_destination(text: str, accounts: Sequence[StorageAccount] = ()) -> Destination:
    """Parses a message's ``model``. A container, bucket or folder gets ``model.tgz`` below it.

    `accounts`: those of this machine, whose addresses need no SAS. Raises InvalidInput.
    """
    scheme, _, rest = text.partition("://")
    if scheme.lower() == "s3":
        bucket, _, key = rest.partition("/")
        return _object(bucket, key)
    try:
        address = web_address(text)
    except BadAddress as error:
        raise InvalidInput(SOURCE, [Problem("model", str(error))]) from error
    query = parse_qs(address.query)
    if "sig" not in query and not any(name.lower() == "x-amz-signature" for name in query):
        path = unquote(address.path).strip("/")
        if found := _HOSTED.fullmatch(address.host):
            return _object(found["bucket"], path)
        if _PATHS.fullmatch(address.host):
            bucket, _, key = path.partition("/")
            return _object(bucket, key)
        if (blob := _own_blob(address, accounts)) is not None:
            return blob
        if _BLOBS.fullmatch(address.host):
            problem = f"{address}: has no SAS, and is in no account of this machine: add a SAS that may write"
            raise InvalidInput(SOURCE, [Problem("model", problem)])
    is_blob = "sig" in query and "sv" in query
    is_file = query.get("sr") == ["b"] or "X-Amz-Signature" in query or _ARCHIVE.search(address.path) is not None
    target = address if is_file else address.below(FILE)
    if is_blob:
        _check_blob(str(address), unquote(target.path).strip("/").partition("/")[2])
    return PutAddress(target, is_blob)


def _own_blob(address: WebAddress, accounts: Sequence[StorageAccount]) -> OwnBlob | None:
    for account in accounts:
        path = account.path_of(address)
        if path is None:
            continue
        container, _, name = path.partition("/")
        if not _CONTAINER.fullmatch(container):
            problem = f"{container!r:.80} cannot be the name of a container: write https://ACCOUNT.blob…/CONTAINER/PATH"
            raise InvalidInput(SOURCE, [Problem("model", problem)])
        _check_blob(str(address), _file_in(name))
        return OwnBlob(account, container, _file_in(name))
    return None


def _check_blob(address: str, name: str) -> None:
    if (why := blob_name_problem(name)) is not None:
        problem = f"{address:.200}: no blob can have this name, which {why}: name another folder or file"
        raise InvalidInput(SOURCE, [Problem("model", problem)])


def _object(bucket: str, key: str) -> S3Object:
    if not _BUCKET.fullmatch(bucket):
        problem = f"{bucket!r:.80} cannot be the name of a bucket: write s3://BUCKET/KEY"
        raise InvalidInput(SOURCE, [Problem("model", problem)])
    name = _file_in(key)
    if len(name.encode("utf-8", "replace")) > _LONGEST_KEY or not can_be_asked_for(name):
        problem = f"s3://{bucket}/{key!r:.80}: a key has at most {_LONGEST_KEY} bytes, and no control character"
        raise InvalidInput(SOURCE, [Problem("model", problem)])
    return S3Object(bucket, name)


def _file_in(path: str) -> str:
    path = path.strip("/")
    return path if _ARCHIVE.search(path) else f"{path}/{FILE}".lstrip("/")
