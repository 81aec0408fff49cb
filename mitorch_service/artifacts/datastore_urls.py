"""URLs of files in datastores, with SAS tokens."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlsplit

from mitorch_service.models.blob_storage.datastore import Datastore


def file_url(datastore: Datastore, path: str, expiry: datetime, permission: str = "rl") -> str:
    """Returns the URL of a file with a SAS token, which is a secret: the datastore's own token, or one with these
    permissions (by default to read and list), signed with its key and valid until `expiry`. Without either, the URL has
    none, and reading needs an identity.

    Raises ModuleNotFoundError if a token must be signed and Azure's SDK is not installed.
    """
    url = f"{datastore.url}/{quote(path)}"
    sas = datastore.sas or (_token(datastore, expiry, permission) if datastore.key else "")
    return f"{url}?{sas}" if sas else url


def _token(datastore: Datastore, expiry: datetime, permission: str) -> str:
    """Signs a token for the container."""
    from azure.storage.blob import generate_container_sas

    split = urlsplit(datastore.account)
    account = split.path.strip("/") or (split.hostname or "").partition(".")[0]  # an emulator has it in the path
    return generate_container_sas(account, datastore.container, datastore.key, permission=permission, expiry=expiry)
