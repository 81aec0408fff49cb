"""Opens clients of Azure Blob Storage with our credentials, retries and timeouts."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from azure.storage.blob import (
    BlobClient,
    BlobServiceClient,
    ContainerClient,
    ExponentialRetry,
    generate_container_sas,
)

from mitorch_service.artifacts.blob.url import BlobRoot, BlobUrl
from mitorch_service.models.blob_storage.sas import sas_of

RETRIES = 5  # per request; half a minute or more in all if there is no answer
CHECK_RETRIES = 1  # for checks that a person waits for
_CONNECT_SECONDS = 20
_READ_SECONDS = 60
_TOKEN_TERM = timedelta(days=366)  # of tokens that are made from an account's key: a year from now, at least

_thread = threading.local()


def open_container(root: BlobRoot, retries: int = RETRIES) -> ContainerClient:
    """Returns a client; sends nothing yet. Raises ValueError for a malformed connection string."""
    if root.url is not None:
        return _container(root.url, retries)
    service = BlobServiceClient.from_connection_string(root.connection or "", **_options(retries))
    return service.get_container_client(root.container)


def token_to_read(container: ContainerClient) -> str:
    """Returns a SAS token to read and list a container that was opened by a connection string: its own one, or one that
    its key signs, which stays the same for a day; empty if identities are used."""
    key = getattr(container.credential, "account_key", None)
    if key is None:
        return sas_of(container.url)
    today = datetime.combine(datetime.now(UTC), datetime.min.time(), UTC)
    name = container.container_name
    return generate_container_sas(
        container.credential.account_name, name, key, permission="rl", expiry=today + _TOKEN_TERM
    )


def open_blob(url: BlobUrl, retries: int = RETRIES) -> BlobClient:
    """Returns a client; sends nothing yet.

    The clients of a thread share connections, because opening one takes longer than a small file, and one pool for all
    threads would be too small.
    """
    containers: dict[tuple[BlobUrl, int], ContainerClient] = _thread.__dict__.setdefault("containers", {})
    root = replace(url, name="")
    if (root, retries) not in containers:
        containers[root, retries] = _container(root, retries)
    return containers[root, retries].get_blob_client(url.name)


def _container(url: BlobUrl, retries: int) -> ContainerClient:
    credential = url.sas or _ambient_identity()
    return ContainerClient(url.account, url.container, credential=credential, **_options(retries))


@lru_cache(maxsize=1)
def _ambient_identity() -> Any:
    """Returns this machine's identity: environment, workload or managed identity, az login. Cached, because it caches
    tokens."""
    from azure.identity import DefaultAzureCredential

    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)  # logs twenty lines about everything it tried
    return DefaultAzureCredential()


def _options(retries: int) -> dict[str, Any]:
    retry = ExponentialRetry(
        initial_backoff=1, increment_base=2, retry_total=retries, retry_connect=retries, random_jitter_range=1
    )
    return {
        "retry_policy": retry,
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "max_single_put_size": 64 << 20,  # upload.py splits larger files into blocks itself
    }
