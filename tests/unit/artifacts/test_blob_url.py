"""Addresses in blob storage: read from URLs, connection strings and settings; SAS tokens apart."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mitorch_service.artifacts.blob.url import BlobRoot, BlobUrl
from mitorch_service.errors import InvalidInput, SettingsError
from mitorch_service.models.blob_storage.sas import is_url, sas_expiry, sas_of, without_sas
from mitorch_service.models.dataset import DatasetSplit, detach_sas_tokens
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.submission import Options, build_submission
from tests.samples import CONFIG, NOW, a_dataset

AZURE = "https://me.blob.core.windows.net"
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=aGVsbG8=;EndpointSuffix=core.windows.net"


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        (f"{AZURE}/c", BlobUrl(AZURE, "c", ""), f"{AZURE}/c"),
        (f"{AZURE}/c/?sv=1&sig=hush", BlobUrl(AZURE, "c", "", "sv=1&sig=hush"), f"{AZURE}/c"),
        (f"{AZURE}/c/a%20b/%C3%A4.txt?sig=x", BlobUrl(AZURE, "c", "a b/ä.txt", "sig=x"), f"{AZURE}/c/a%20b/%C3%A4.txt"),
        (
            "http://127.0.0.1:9/me/c/d?s=1",
            BlobUrl("http://127.0.0.1:9/me", "c", "d", "s=1"),
            "http://127.0.0.1:9/me/c/d",
        ),
    ],
)
def test_a_url_is_taken_apart_and_shown_without_its_token(text: str, url: BlobUrl, shown: str) -> None:
    assert BlobUrl.parse(text) == url
    assert str(url) == shown
    assert "hush" not in repr(url)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://me.blob.core.windows.net/c/d?sig=hush", "must begin with https://"),
        ("http://127.0.0.1.evil.example/me/c?sig=hush", "must begin with https://"),
        ("ftp://me/c?sig=hush", "must begin with https://"),
        ("https:///c?sig=hush", "must name a host"),
        ("https://u:hush@me/c", "without a user"),
        (AZURE, "must name a container"),
        (f"{AZURE}/c/a#b?sig=hush", "contains a #"),
        (f"{AZURE}/c//d?sig=hush", "no empty, '.' or '..' part"),
        (f"{AZURE}/c/%2e%2e/d?sig=hush", "no empty, '.' or '..' part"),
        (f"{AZURE}/c/a%2Fb?sig=hush", "no empty, '.' or '..' part"),
        (f"{AZURE}/c/a%00b?sig=hush", "has a control character"),
        (f"{AZURE}/c/a%0Ab?sig=hush", "has a control character"),
        (f"{AZURE}/c/a%C2%85b?sig=hush", "has a control character"),
        ("http://localhost:1/me?sig=hush", "names no container"),
        ("http://localhost:1/me/c/d", "must have a SAS token"),
    ],
)
def test_what_is_no_address_is_told_without_its_token(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        BlobUrl.parse(text)
    assert "hush" not in str(caught.value)


def test_the_storage_may_be_a_container_or_a_folder_in_it() -> None:
    assert BlobRoot.parse(f"{AZURE}/c").prefix == ""
    assert BlobRoot.parse(f"{AZURE}/c/a/b/?sig=x").prefix == "a/b/"
    root = BlobRoot.parse(f"{CONNECTION};Container=c;Prefix=/a/")
    assert (root.container, root.prefix, root.connection) == ("c", "a/", CONNECTION)
    assert "aGVsbG8" not in repr(root)


@pytest.mark.parametrize(
    "url", [f"{AZURE}/c", f"{AZURE}/c/x?sig=a[b", "http://127.0.0.1:10000/me/c?sig=x", f"{CONNECTION};Container=c"]
)
def test_the_settings_take_blob_storage_as_it_is_written(url: str) -> None:
    settings = read_settings({"MITORCH_STORAGE_URL": url})
    assert settings.storage_url == url
    assert settings.storage_folder is None


def test_a_folder_with_odd_characters_is_a_folder() -> None:
    for folder in ("/data/a=b;c", "/data/https:/x", "/AccountName=x;y"):
        settings = read_settings({"MITORCH_STORAGE_URL": folder})
        assert str(settings.storage_folder) == folder


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"{AZURE}?sig=hush", "the URL names no container"),
        (f"{AZURE}/?sig=hush", "the URL names no container"),
        ("http://me.blob.core.windows.net/c?sig=hush", "http:// would send secrets to me.blob.core.windows.net"),
        ("wasbs://c@me.blob.core.windows.net/hush", "the scheme 'wasbs' is not known"),
        (CONNECTION.replace("aGVsbG8=", "hush"), "the connection string names no container"),
        ("AccountName=me;AccountKey=hush;Container=", "the connection string names no container"),
    ],
)
def test_storage_that_cannot_be_used_is_told_without_its_secret(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"MITORCH_STORAGE_URL: {told}.*Name a folder") as caught:
        read_settings({"MITORCH_STORAGE_URL": url})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("sas", "end"),
    [
        ("sv=1&se=2027-01-02T03:04:05Z&sig=x", datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("se=2027-01-02T03%3A04Z", datetime(2027, 1, 2, 3, 4, tzinfo=UTC)),
        ("se=2027-01-02T03:04:05.1234567Z", datetime(2027, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("se=2027-01-02", datetime(2027, 1, 2, tzinfo=UTC)),
        ("si=policy&sig=x", None),
        ("se=soon", None),
        ("", None),
    ],
)
def test_a_token_says_when_it_ends(sas: str, end: datetime | None) -> None:
    assert sas_expiry(sas) == end


def test_tokens_are_kept_apart_from_what_is_shown() -> None:
    assert is_url(f"{AZURE}/c?x")
    assert not is_url("/data/train.txt")
    assert (without_sas(f"{AZURE}/c?x=1"), sas_of(f"{AZURE}/c?x=1")) == (f"{AZURE}/c", "x=1")
    urls = [f"{AZURE}/c/{name}?sig=hush" for name in ("train.txt", "images.zip")]
    split, tokens = detach_sas_tokens(DatasetSplit(path=urls[0], support_files=[urls[1], f"{AZURE}/c/open.zip"]))
    assert split == DatasetSplit(
        path=f"{AZURE}/c/train.txt", support_files=[f"{AZURE}/c/images.zip", f"{AZURE}/c/open.zip"]
    )
    dataset = a_dataset().model_copy(update={"train": split, "val": split, "sas_tokens": tokens})
    assert dataset.with_sas(split.path) == urls[0]
    assert dataset.with_sas(f"{AZURE}/c/open.zip") == f"{AZURE}/c/open.zip"
    assert "hush" not in repr(dataset) + str(dataset) + repr(tokens)


@pytest.fixture
def submitted(store: Store, caplog: pytest.LogCaptureFixture) -> Callable[[timedelta], list[str]]:
    """Submits a training on a data set whose token has so much time left; returns what was told."""

    def submit(left: timedelta) -> list[str]:
        token = f"se={NOW + left:%Y-%m-%dT%H:%M:%SZ}&sig=hush"
        split, tokens = detach_sas_tokens(DatasetSplit(path=f"{AZURE}/c/train.txt?{token}"))
        store.datasets.add_dataset(a_dataset().model_copy(update={"train": split, "sas_tokens": tokens}))
        build_submission(store, "c.json", {**CONFIG, "dataset": "digits"}, Options(), NOW)
        return caplog.messages

    return submit


def test_a_token_with_time_enough_is_no_word_worth(submitted: Callable[[timedelta], list[str]]) -> None:
    assert submitted(timedelta(days=8)) == []


def test_a_token_that_ends_soon_is_told_at_submission(submitted: Callable[[timedelta], list[str]]) -> None:
    assert submitted(timedelta(days=6)) == [
        f"Warning: digits:1: the SAS token of {AZURE}/c/train.txt ends on 2026-11-26 12:30 UTC, and what is to start "
        "later waits: register this version again with one that outlasts the training."
    ]


def test_a_submission_on_a_token_that_has_ended_is_refused(submitted: Callable[[timedelta], list[str]]) -> None:
    told = rf"dataset: digits:1: the SAS token of {AZURE}/c/train\.txt expired on 2026-11-20 11:30 UTC; register this"
    with pytest.raises(InvalidInput, match=told):
        submitted(timedelta(hours=-1))


def test_nothing_of_azure_is_imported_where_folders_are_used(tmp_path: Path) -> None:
    code = (
        "import sys; from mitorch_service import wiring; from mitorch_service.settings import read_settings\n"
        "import mitorch_service.runs.attempt, mitorch_service.operations.datasets.dataset_registration\n"
        "import mitorch_service.submission.submission\n"
        "settings = read_settings(); wiring.open_artifacts(settings).check(); wiring.open_dataset_files(settings)\n"
        "print([name for name in sys.modules if name.startswith('azure')])"
    )
    environment = {**os.environ, "MITORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
