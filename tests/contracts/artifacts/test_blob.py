"""Blob storage when things go wrong: cuts, kills, damage, and other writers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings

from mitorch_service.artifacts.blob import download, upload
from mitorch_service.artifacts.blob.store import BlobArtifactStore
from mitorch_service.errors import ArtifactError
from tests.azurite_server import ENVIRONMENT, Azurite
from tests.cut_proxy import CutProxy
from tests.warm.command import with_warm_code

MB = 1 << 18  # sizes are a quarter of what is written, as those of blocks and ranges are
KEY = "d0c5/model.pth"

_CALL = """
import sys
from pathlib import Path
from mitorch_service.artifacts.blob import download, upload
from mitorch_service.artifacts.blob.store import BlobArtifactStore
upload.BLOCK = download.RANGE = int(sys.argv[4])
getattr(BlobArtifactStore(sys.argv[1]), sys.argv[2])("d0c5/model.pth", Path(sys.argv[3]))
"""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "BLOCK", 8 * MB)
    monkeypatch.setattr(download, "RANGE", 8 * MB)


@pytest.fixture
def container(azurite: Azurite) -> ContainerClient:
    return azurite.new_container()


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[CutProxy]:
    proxy = CutProxy(azurite.host)
    yield proxy
    proxy.close()


@pytest.fixture
def url(azurite: Azurite, container: ContainerClient) -> str:
    return f"{azurite.url(container.container_name)}?{azurite.sas(container.container_name)}"


@pytest.fixture
def proxied(azurite: Azurite, container: ContainerClient, proxy: CutProxy) -> str:
    """The same container by way of the proxy."""
    name = container.container_name
    return f"{azurite.url(name, host=proxy.address)}?{azurite.sas(name)}"


@pytest.fixture
def artifacts(url: str) -> BlobArtifactStore:
    return BlobArtifactStore(url, retries=0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(50 * MB))
    return path


def killed_in_the_middle(proxy: CutProxy, url: str, method: str, path: Path) -> None:
    """A process that puts or gets the file, killed when the proxy has reached what it was told."""
    command = [sys.executable, "-c", _CALL, url, method, str(path), str(8 * MB)]
    process = subprocess.Popen(command, env=with_warm_code(os.environ))
    with process:
        assert proxy.reached.wait(60)
        process.send_signal(signal.SIGKILL)
    proxy.release()
    proxy.settle()


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(".part-*"))


def test_a_killed_upload_is_gone_on_with_and_no_block_is_sent_twice(
    artifacts: BlobArtifactStore,
    container: ContainerClient,
    proxy: CutProxy,
    proxied: str,
    source: Path,
    tmp_path: Path,
) -> None:
    proxy.hold("up", 40 * MB)
    killed_in_the_middle(proxy, proxied, "put", source)
    assert not artifacts.exists(KEY)
    there = sum(block.size for block in container.get_blob_client(KEY).get_block_list("uncommitted")[1])
    assert there >= 8 * MB
    before = proxy.bytes["up"]
    BlobArtifactStore(proxied).put(KEY, source)
    assert proxy.bytes["up"] - before <= 50 * MB - there + 128 * 1024  # headers, and what the proxy held
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_a_file_of_which_only_the_end_is_new_sends_the_end_only(
    proxy: CutProxy, proxied: str, source: Path, tmp_path: Path
) -> None:
    artifacts = BlobArtifactStore(proxied)
    artifacts.put(KEY, source)
    with source.open("ab") as file:
        file.write(os.urandom(2 * MB))
    before = proxy.bytes["up"]
    artifacts.put(KEY, source)
    assert proxy.bytes["up"] - before <= 5 * MB
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_a_connection_cut_in_an_upload_is_made_anew(
    proxy: CutProxy, proxied: str, source: Path, tmp_path: Path
) -> None:
    proxy.cut("up", 20 * MB)
    artifacts = BlobArtifactStore(proxied)
    artifacts.put(KEY, source)
    assert proxy.reached.is_set()
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_a_connection_cut_in_a_download_is_made_anew(
    artifacts: BlobArtifactStore, proxy: CutProxy, proxied: str, source: Path, tmp_path: Path
) -> None:
    artifacts.put(KEY, source)
    proxy.cut("down", 20 * MB)
    BlobArtifactStore(proxied).get(KEY, tmp_path / "back")
    assert proxy.reached.is_set()
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert parts(tmp_path) == []


def test_a_killed_download_is_gone_on_with(
    artifacts: BlobArtifactStore, proxy: CutProxy, proxied: str, source: Path, tmp_path: Path
) -> None:
    artifacts.put(KEY, source)
    target = tmp_path / "back"
    proxy.hold("down", 42 * MB)
    killed_in_the_middle(proxy, proxied, "get", target)
    assert not target.exists()
    (part,) = parts(tmp_path)
    there = part.stat().st_size
    assert there >= 8 * MB
    before = proxy.bytes["down"]
    BlobArtifactStore(proxied).get(KEY, target)
    assert proxy.bytes["down"] - before <= 50 * MB - there + 128 * 1024  # headers, and what the proxy held
    assert target.read_bytes() == source.read_bytes()
    assert parts(tmp_path) == []


def test_what_was_damaged_on_the_disk_is_loaded_anew(
    artifacts: BlobArtifactStore, proxy: CutProxy, proxied: str, source: Path, tmp_path: Path
) -> None:
    artifacts.put(KEY, source)
    target = tmp_path / "back"
    proxy.hold("down", 42 * MB)
    killed_in_the_middle(proxy, proxied, "get", target)
    (part,) = parts(tmp_path)
    with part.open("r+b") as file:
        file.write(b"not what was loaded")
    artifacts.get(KEY, target)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("content", [b"small", bytes(9 * MB)])
def test_what_is_damaged_in_the_storage_is_told_and_not_taken(
    artifacts: BlobArtifactStore, container: ContainerClient, tmp_path: Path, content: bytes
) -> None:
    blob = container.get_blob_client(KEY)
    blob.upload_blob(content)
    blob.set_http_headers(ContentSettings(content_md5=bytearray(16)))
    with pytest.raises(ArtifactError, match="does not match its MD5"):
        artifacts.get(KEY, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_what_others_stored_without_an_md5_can_be_read(
    artifacts: BlobArtifactStore, container: ContainerClient, tmp_path: Path
) -> None:
    blob = container.get_blob_client(KEY)
    blob.stage_block("one", bytes(9 * MB))
    blob.commit_block_list([BlobBlock(block_id="one")])
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == bytes(9 * MB)


def test_a_blob_replaced_while_it_is_read_is_read_anew_never_mixed(
    artifacts: BlobArtifactStore, proxy: CutProxy, proxied: str, source: Path, tmp_path: Path
) -> None:
    artifacts.put(KEY, source)
    proxy.hold("down", 20 * MB)
    reader = threading.Thread(target=BlobArtifactStore(proxied).get, args=(KEY, tmp_path / "back"))
    reader.start()
    assert proxy.reached.wait(60)
    new = tmp_path / "new"
    new.write_bytes(os.urandom(45 * MB))
    artifacts.put(KEY, new)
    proxy.release()
    reader.join(60)
    assert (tmp_path / "back").read_bytes() == new.read_bytes()
    assert parts(tmp_path) == []


def test_of_two_writers_the_last_that_ends_stays(
    artifacts: BlobArtifactStore, proxy: CutProxy, proxied: str, source: Path, tmp_path: Path
) -> None:
    """A run that was declared dead stores its weights while its successor does: the first to end throws the other's
    blocks away, which are then sent again."""
    proxy.hold("up", 30 * MB)
    slow = threading.Thread(target=BlobArtifactStore(proxied).put, args=(KEY, source))
    slow.start()
    assert proxy.reached.wait(60)
    (tmp_path / "other").write_bytes(os.urandom(20 * MB))
    artifacts.put(KEY, tmp_path / "other")
    proxy.release()
    slow.join(60)
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.long
def test_files_pass_through_in_constant_memory(url: str, tmp_path: Path) -> None:
    """120 MB here; `python -m tests.benchmarks.storage --megabytes 5120` tells the same of 5 GB."""
    command = [sys.executable, "-m", "tests.benchmarks.storage", "--megabytes", "120", "--folder", str(tmp_path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    peaks = [figure["value"] for figure in map(json.loads, done.stdout.splitlines()) if figure["unit"] == "MB"]
    assert len(peaks) == 2
    assert max(peaks) < 160
