"""Stores a file in an own storage account, with its key.

A message names the address, and whoever may write into the queue is not thereby allowed to replace what else is in the
account: only what a consumer has stored there is replaced.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobClient, BlobServiceClient, ContentSettings, ExponentialRetry

from mitorch_service.interop.vott.outgoing.destination import OwnBlob
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable

_MARK = {"mitorch_consume": "model"}  # metadata of what is stored here
_TYPE = ContentSettings(content_type="application/gzip")
_RETRIES = 3  # of a request, in seconds; a delivery is tried again later, too

_REMEDIES = {
    "ContainerNotFound": ": create the container",
    "AuthenticationFailed": ": check the account's key, and this machine's clock",
    "KeyBasedAuthenticationNotPermitted": ": the account refuses keys; name an address with a SAS",
}


def upload_to_account(target: OwnBlob, file: Path) -> None:
    """Uploads the file, in blocks if it is large. Raises Refused, Unavailable, OSError."""
    retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=_RETRIES, random_jitter_range=1)
    options: dict[str, Any] = {"retry_policy": retry, "connection_timeout": 20, "read_timeout": 60}
    try:
        service = BlobServiceClient.from_connection_string(target.account.connection, **options)
        with service, service.get_blob_client(target.container, target.name) as blob:
            _upload(target, blob, file)
    except ValueError:  # whose text may quote it
        raise Refused(f"{target}: the account's connection string is malformed") from None
    except AzureError as error:
        if isinstance(error, ClientAuthenticationError) and error.status_code is None:  # nothing was sent
            raise Refused(f"{target}: the account's key is malformed. Copy it anew") from None
        raise _of(target, error) from None


def _of(target: OwnBlob, error: AzureError) -> Exception:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None:
        return Unavailable(f"{target}: {error.message[:200]}")
    code = str(getattr(error, "error_code", None) or "")
    problem = f"{target}: HTTP {status} {code}".rstrip() + _REMEDIES.get(code, "")
    return Refused(problem) if 400 <= status < 500 and status not in (408, 429) else Unavailable(problem)


def _upload(target: OwnBlob, blob: BlobClient, file: Path) -> None:
    try:
        with file.open("rb") as body:
            blob.upload_blob(body, overwrite=False, metadata=_MARK, content_settings=_TYPE)
    except ResourceExistsError:
        found = blob.get_blob_properties()
        if not _MARK.items() <= (found.metadata or {}).items():
            raise Refused(
                f"{target}: there is another file already, which no model of ours replaces: remove it, "
                "or name another folder"
            ) from None
        with file.open("rb") as body:
            blob.upload_blob(
                body,
                overwrite=True,
                metadata=_MARK,
                content_settings=_TYPE,
                etag=found.etag,
                match_condition=MatchConditions.IfNotModified,
            )
