"""Blob storage that refuses, and addresses that make no sense: told with the remedy, and without any secret."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from azure.storage.blob import BlobClient, ContainerClient

from mitorch_service.artifacts.blob.store import BlobArtifactStore
from mitorch_service.errors import ArtifactError, MiTorchError, SettingsError
from tests.azurite_server import ACCOUNT, Azurite
from tests.azurite_server import KEY as ACCOUNT_KEY

KEY = "d0c5/model.pth"


@pytest.fixture
def container(azurite: Azurite) -> ContainerClient:
    return azurite.new_container()


Break = Callable[[Azurite, str], str]  # the container's name to a MITORCH_STORAGE_URL that does not work

BREAKS: dict[str, tuple[Break, str]] = {
    "expired": (
        lambda azurite, name: f"{azurite.url(name)}?{azurite.sas(name, end=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))}",
        r"the SAS token expired on 2026-01-02 03:04 UTC\. Create a new one",
    ),
    "forged": (
        lambda azurite, name: f"{azurite.url(name)}?{azurite.sas(name)[:-9]}AAAAAA%3D",
        "access is refused: the credential is wrong",
    ),
    "of another container": (
        lambda azurite, name: f"{azurite.url(name)}?{azurite.sas('other')}",
        "access is refused: the credential is wrong",
    ),
    "read only": (
        lambda azurite, name: f"{azurite.url(name)}?{azurite.sas(name, 'rl')}",
        "lacks a permission. A SAS token needs racwdl",
    ),
    "no container": (
        lambda azurite, name: f"{azurite.url('missing')}?{azurite.sas('missing')}",
        "the container does not exist. Create it",
    ),
    "no container, by key": (
        lambda azurite, name: f"{azurite.connection_string}Container=missing",
        "the container does not exist. Create it",
    ),
    "no name for one": (
        lambda azurite, name: f"{azurite.url('A_B')}?{azurite.sas('A_B')}",
        "Use 3 to 63 lower-case letters, digits and dashes",
    ),
    "wrong key": (
        lambda azurite, name: azurite.connection_string.replace("Eby8", "Aby8") + f"Container={name}",
        "access is refused: the credential is wrong",
    ),
    "nobody there": (
        lambda azurite, name: f"http://127.0.0.1:1/me/{name}?{azurite.sas(name)}",
        r"cannot be reached \(\[Errno 111\] Connection refused\)\. Check the network",
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_refused_is_told_with_the_remedy_and_without_any_secret(
    azurite: Azurite, container: ContainerClient, tmp_path: Path, broken: str
) -> None:
    make, told = BREAKS[broken]
    url = make(azurite, container.container_name)
    (tmp_path / "source").write_bytes(b"x")
    artifacts = BlobArtifactStore(url, retries=0)
    for call in (artifacts.check, lambda: artifacts.put(KEY, tmp_path / "source")):
        with pytest.raises(ArtifactError, match=told) as caught:
            call()
        assert_silent(caught.value, url)


@pytest.mark.parametrize("broken", [name for name in BREAKS if name != "read only"])
def test_a_refused_question_is_no_no(azurite: Azurite, container: ContainerClient, tmp_path: Path, broken: str) -> None:
    make, told = BREAKS[broken]
    artifacts = BlobArtifactStore(make(azurite, container.container_name), retries=0)
    for call in (
        lambda: artifacts.exists(KEY),
        lambda: artifacts.get(KEY, tmp_path / "back"),
        lambda: artifacts.keys("d0c5/"),
        lambda: artifacts.delete("d0c5/"),
    ):
        with pytest.raises(ArtifactError, match=told):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://me.blob.core.windows.net/?sig=hush", "must name a container"),
        ("https://me.blob.core.windows.net/c/../d?sig=hush", "must name a container, and no empty, '.' or '..' part"),
        ("https://me:hush@h/c", "without a user"),
        ("http://127.0.0.1:1/me/c", "must have a SAS token"),
        ("AccountName=me;AccountKey=hush;Container=", "names no container"),
        ("AccountNam=me;AccountKey=hush;Container=c", "the connection string is malformed"),
    ],
)
def test_an_address_that_makes_no_sense_is_told_without_any_secret(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"MITORCH_STORAGE_URL: .*{re.escape(told)}") as caught:
        BlobArtifactStore(url)
    assert "hush" not in whole(caught.value)


def test_a_connection_string_names_container_and_folder(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"x")
    name = container.container_name
    artifacts = BlobArtifactStore(f"{azurite.connection_string}Container={name};Prefix=a/b")
    address = artifacts.put(KEY, tmp_path / "source")
    assert address == azurite.url(name, f"a/b/{KEY}")
    assert list(container.list_blob_names()) == [f"a/b/{KEY}"]
    signed, token = artifacts.path_for_runs(KEY), azurite.sas(name)
    assert signed.startswith(f"{address}?") and "sp=rl" in signed and "AccountKey" not in signed
    assert BlobClient.from_blob_url(signed).download_blob().readall() == b"x"
    by_token = f"BlobEndpoint=http://{azurite.host}/{ACCOUNT};SharedAccessSignature={token};Container={name};Prefix=a/b"
    assert unquote(BlobArtifactStore(by_token).path_for_runs(KEY)) == unquote(f"{address}?{token}")


def test_a_token_that_is_not_valid_yet_is_refused(azurite: Azurite, container: ContainerClient) -> None:
    name, start = container.container_name, datetime.now(UTC) + timedelta(minutes=30)
    artifacts = BlobArtifactStore(f"{azurite.url(name)}?{azurite.sas(name, start=start)}", retries=0)
    with pytest.raises(ArtifactError, match=r"access is refused|is not accepted"):
        artifacts.check()


def test_the_check_tells_when_the_token_ends(azurite: Azurite, container: ContainerClient) -> None:
    name = container.container_name
    token = azurite.sas(name, end=datetime(2099, 1, 2, 3, 4, tzinfo=UTC))
    told = BlobArtifactStore(f"{azurite.url(name)}?{token}").check()
    assert told == f"{azurite.url(name)}, until the SAS token expires on 2099-01-02 03:04 UTC"


def assert_silent(error: MiTorchError, url: str) -> None:
    """No signature or key in what may be printed of the error."""
    secrets = [*re.findall(r"sig=([^&]+)", url), ACCOUNT_KEY, ACCOUNT_KEY.replace("Eby8", "Aby8")]
    assert not [secret for secret in secrets if secret in whole(error)]


def whole(error: BaseException) -> str:
    """Returns the output of --debug."""
    return "".join(traceback.format_exception(error))
