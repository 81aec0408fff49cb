"""Addresses of files in datastores, with what one needs to read them."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlsplit

from mitorch_service.models.datastore import Datastore


def file_url(datastore: Datastore, path: str, until: datetime) -> str:
    """The URL of a file with a SAS token, a secret: the datastore's own, or one for reading until then that is made of
    its key. Without one where the datastore has neither: then whoever reads needs an identity that may.

    Raises ModuleNotFoundError where a token is to be made and Azure's SDK is not installed.
    """
    url = f"{datastore.url}/{quote(path)}"
    sas = datastore.sas or (_token(datastore, until) if datastore.key else "")
    return f"{url}?{sas}" if sas else url


def _token(datastore: Datastore, until: datetime) -> str:
    """Reading and listing of the container: no more than a data set needs, whatever the key is good for."""
    from azure.storage.blob import generate_container_sas

    split = urlsplit(datastore.account)
    account = split.path.strip("/") or (split.hostname or "").partition(".")[0]  # an emulator's is in the path
    return generate_container_sas(account, datastore.container, datastore.key, permission="rl", expiry=until)
