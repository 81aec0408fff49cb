"""Addresses of files in datastores: who has one can read the file, and no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient

from mitorch_service.artifacts.datastore_urls import file_url
from mitorch_service.models.blob_storage.datastore import Datastore
from mitorch_service.models.blob_storage.sas import sas_expiry, sas_of
from tests.azurite_server import ACCOUNT, KEY, Azurite


def test_a_key_becomes_a_token_that_only_reads(azurite: Azurite) -> None:
    container = azurite.new_container()
    container.upload_blob("ä b/train.txt", b"images.zip@1.png 0")
    account = f"http://{azurite.host}/{ACCOUNT}"
    datastore = Datastore("pictures", account, str(container.container_name), key=KEY)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    url = file_url(datastore, "ä b/train.txt", end)
    assert sas_expiry(sas_of(url)) == end
    assert KEY not in url
    with BlobClient.from_blob_url(url) as blob:
        assert blob.download_blob().readall() == b"images.zip@1.png 0"
        with pytest.raises(HttpResponseError):
            blob.upload_blob(b"other", overwrite=True)
        with pytest.raises(HttpResponseError):
            blob.delete_blob()


def test_a_token_is_taken_as_it_is_and_nothing_stays_nothing() -> None:
    datastore = Datastore("pictures", "https://acct.blob.core.windows.net", "files", sas="sv=1&sig=x")
    now = datetime.now(UTC)
    assert file_url(datastore, "a b.txt", now) == "https://acct.blob.core.windows.net/files/a%20b.txt?sv=1&sig=x"
    plain = Datastore("pictures", "https://acct.blob.core.windows.net", "files")
    assert file_url(plain, "a.txt", now) == "https://acct.blob.core.windows.net/files/a.txt"
