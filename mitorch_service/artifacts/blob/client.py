"""Clients of Azure's blob storage: credentials, retries and time-outs, the same for all that use it."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import lru_cache
from typing import Any

from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient, ExponentialRetry

from mitorch_service.artifacts.blob.url import BlobRoot, BlobUrl

RETRIES = 5  # of each request, which takes half a minute or more in all when nothing answers
RETRIES_OF_A_CHECK = 1  # for which a person waits
_CONNECT_SECONDS, _READ_SECONDS = 20, 60

_of_thread = threading.local()


def open_container(root: BlobRoot, retries: int = RETRIES) -> ContainerClient:
    """Nothing is sent yet. Raises ValueError for a connection string that makes no sense."""
    if root.url is not None:
        return _container(root.url, retries)
    service = BlobServiceClient.from_connection_string(root.connection or "", **_options(retries))
    return service.get_container_client(root.container)


def open_blob(url: BlobUrl, retries: int = RETRIES) -> BlobClient:
    """Nothing is sent yet. The blobs that one thread opens share its connections: a new one takes longer than a small
    file, and one pool for all threads would be too small."""
    containers: dict[tuple[BlobUrl, int], ContainerClient] = _of_thread.__dict__.setdefault("containers", {})
    root = replace(url, name="")
    if (root, retries) not in containers:
        containers[root, retries] = _container(root, retries)
    return containers[root, retries].get_blob_client(url.name)


def _container(url: BlobUrl, retries: int) -> ContainerClient:
    credential = url.sas or _ambient_identity()
    return ContainerClient(url.account, url.container, credential=credential, **_options(retries))


@lru_cache(maxsize=1)
def _ambient_identity() -> Any:
    """Whatever this machine is logged in as: environment, workload or managed identity, az login. Kept, as it caches
    its tokens."""
    from azure.identity import DefaultAzureCredential

    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)  # twenty lines of all that it tried
    return DefaultAzureCredential()


def _options(retries: int) -> dict[str, Any]:
    retry = ExponentialRetry(
        initial_backoff=1, increment_base=2, retry_total=retries, retry_connect=retries, random_jitter_range=1
    )
    return {
        "retry_policy": retry,
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "max_single_put_size": 64 << 20,  # we cut what is larger than a block into blocks ourselves
    }
