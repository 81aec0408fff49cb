"""The contract of an artifact store, on every implementation. One more is one more entry in `SUBJECTS`."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError
from mitorch_service.models.dataset import DatasetSplit, detach_sas_tokens
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_artifacts
from tests.azurite_server import Azurite
from tests.contracts.backends.local_cluster import eventually
from tests.samples import a_dataset

KEY = "d0c5/model.pth"

_PUT = """
import sys
from pathlib import Path
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_artifacts
open_artifacts(read_settings()).put("d0c5/model.pth", Path(sys.argv[1]))
"""


@dataclass(frozen=True)
class Subject:
    """A store under test, and what only its storage knows."""

    url: str  # MITORCH_STORAGE_URL
    where: str  # what messages call it
    files: Callable[[], list[str]]  # everything that lies in the storage
    some_arrived: Callable[[], bool]  # whether a part of a file that is being put is in the storage

    def open(self) -> ArtifactStore:
        return open_artifacts(read_settings({"MITORCH_STORAGE_URL": self.url}))


def _folder(request: pytest.FixtureRequest) -> Subject:
    root: Path = request.getfixturevalue("tmp_path") / "artifacts"

    def files() -> list[str]:
        return [str(path) for path in root.rglob("*") if path.is_file()]

    return Subject(str(root), str(root), files, lambda: any(Path(file).stat().st_size >= 1 << 20 for file in files()))


def _blob(request: pytest.FixtureRequest) -> Subject:
    azurite: Azurite = request.getfixturevalue("azurite")
    container = azurite.new_container()

    def some_arrived() -> bool:
        blobs = container.list_blobs(include=["uncommittedblobs"])
        return any(container.get_blob_client(blob.name).get_block_list("uncommitted")[1] for blob in blobs)

    where = azurite.url(container.container_name, "some folder")
    url = f"{where}?{azurite.sas(container.container_name)}"
    return Subject(url, where, lambda: list(container.list_blob_names()), some_arrived)


SUBJECTS = {"folder": _folder, "blob": _blob}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    return SUBJECTS[request.param](request)


@pytest.fixture
def artifacts(subject: Subject) -> ArtifactStore:
    return subject.open()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"first")
    return path


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that even root cannot write into."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a read-only file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_what_was_put_can_be_got(artifacts: ArtifactStore, source: Path, tmp_path: Path) -> None:
    assert not artifacts.exists(KEY)
    address = artifacts.put(KEY, source)
    assert KEY in address
    assert artifacts.exists(KEY)
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"first"
    assert source.exists()


def test_a_run_reads_what_was_put_as_a_file_of_a_data_set(
    artifacts: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    artifacts.put("data/ä 1/train.csv", source)
    split = DatasetSplit(path=artifacts.path_for_runs("data/ä 1/train.csv"))
    shown, tokens = detach_sas_tokens(split)
    dataset = a_dataset("digits", 1).model_copy(update={"train": shown, "val": shown, "sas_tokens": tokens})
    with DatasetFiles(tmp_path / "cache").local_paths(dataset) as paths:
        assert paths["train"].read_bytes() == b"first"


def test_an_empty_file_and_a_key_with_spaces_and_umlauts_are_kept(artifacts: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    artifacts.put("ä b/c#d?.txt", tmp_path / "empty")
    artifacts.get("ä b/c#d?.txt", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


def test_a_second_put_replaces_the_file(artifacts: ArtifactStore, source: Path, tmp_path: Path) -> None:
    artifacts.put(KEY, source)
    source.write_bytes(b"second")
    artifacts.put(KEY, source)
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"second"


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_writer_killed_in_the_middle_leaves_what_was_there(
    subject: Subject, artifacts: ArtifactStore, tmp_path: Path, before: bytes | None
) -> None:
    if before is not None:
        (tmp_path / "old").write_bytes(before)
        artifacts.put(KEY, tmp_path / "old")
    pipe = tmp_path / "pipe"  # a source that never ends: the writer is in the middle for as long as the test likes
    os.mkfifo(pipe)
    environment = {**os.environ, "MITORCH_STORAGE_URL": subject.url}
    writer = subprocess.Popen([sys.executable, "-c", _PUT, str(pipe)], env=environment)
    with writer, pipe.open("wb", buffering=0) as feed:
        feed.write(bytes(17 << 20))
        eventually(subject.some_arrived)
        assert artifacts.exists(KEY) == (before is not None)
        (tmp_path / "other").write_bytes(b"other")
        subject.open().put("d0c5/other.txt", tmp_path / "other")
        assert subject.some_arrived()  # the first put of another process spares what is being written
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert artifacts.exists(KEY) == (before is not None)
    if before is not None:
        artifacts.get(KEY, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == before
    (tmp_path / "new").write_bytes(b"new")
    subject.open().put(KEY, tmp_path / "new")
    assert artifacts.keys("d0c5/") == [KEY, "d0c5/other.txt"]
    assert len(subject.files()) == 2  # and what the killed writer left is gone
    assert artifacts.delete("d0c5/") >= 1
    assert not artifacts.exists(KEY)


def test_a_put_that_fails_leaves_nothing_and_changes_nothing(
    artifacts: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    artifacts.put(KEY, source)
    with pytest.raises(ArtifactError, match=r"d0c5/model\.pth at .*No such file"):
        artifacts.put(KEY, tmp_path / "missing")
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"first"
    assert artifacts.delete("d0c5/") == 1


def test_the_address_is_where_the_file_lies_and_holds_no_credential(
    subject: Subject, artifacts: ArtifactStore, source: Path
) -> None:
    assert artifacts.put(KEY, source) == f"{subject.where}/{KEY}".replace("some folder", "some%20folder")


def test_a_get_replaces_the_target_or_leaves_it_as_it_was(
    artifacts: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "back").write_bytes(b"what was there, and longer")
    with pytest.raises(ArtifactError):
        artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"what was there, and longer"
    artifacts.put(KEY, source)
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"first"
    assert {path.name for path in tmp_path.iterdir()} <= {"back", "source", "artifacts"}


def test_a_target_that_cannot_be_written_is_told(artifacts: ArtifactStore, source: Path, read_only: Path) -> None:
    artifacts.put(KEY, source)
    with pytest.raises(ArtifactError, match="Read-only file system"):
        artifacts.get(KEY, read_only / "back")


@pytest.mark.parametrize("size", [(8 << 20) - 1, 8 << 20, (8 << 20) + 1, 20 << 20])
def test_files_around_the_size_of_a_block_are_kept(artifacts: ArtifactStore, tmp_path: Path, size: int) -> None:
    (tmp_path / "large").write_bytes(os.urandom(size))
    artifacts.put(KEY, tmp_path / "large")
    artifacts.get(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()


def test_the_keys_are_those_of_whole_files_below_the_prefix(artifacts: ArtifactStore, source: Path) -> None:
    for key in ("a/b.txt", "a/ä 1/c.txt", "ab/d.txt"):
        artifacts.put(key, source)
    assert artifacts.keys("a/") == ["a/b.txt", "a/ä 1/c.txt"]
    assert artifacts.keys("never/") == []


def test_what_is_missing_cannot_be_got_and_leaves_no_file(artifacts: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"Artifact d0c5/model\.pth at "):
        artifacts.get(KEY, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_delete_takes_everything_below_the_prefix_and_nothing_else(artifacts: ArtifactStore, source: Path) -> None:
    for key in ("a/model.pth", "a/attempt-1/log.txt", "ab/model.pth"):
        artifacts.put(key, source)
    assert artifacts.delete("a/") == 2
    assert [artifacts.exists(key) for key in ("a/model.pth", "a/attempt-1/log.txt", "ab/model.pth")] == [
        False,
        False,
        True,
    ]
    assert artifacts.delete("a/") == 0
    assert artifacts.delete("never/") == 0


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/passwd", "", ".", "a/.."])
def test_a_key_that_leads_out_is_refused(artifacts: ArtifactStore, source: Path, key: str) -> None:
    for call in (
        lambda: artifacts.put(key, source),
        lambda: artifacts.get(key, source),
        lambda: artifacts.exists(key),
        lambda: artifacts.delete(key),
    ):
        with pytest.raises(ArtifactError, match="leads out of the store"):
            call()
    assert source.read_bytes() == b"first"


def test_the_check_tells_where_and_leaves_nothing(subject: Subject, artifacts: ArtifactStore) -> None:
    assert subject.where in artifacts.check()
    assert subject.files() == []


def test_what_killed_checks_have_left_is_removed(tmp_path: Path) -> None:
    trials = tmp_path / f".doctor-{os.geteuid()}"
    trials.mkdir()
    for name, age in (("old", 90_000), ("young", 60)):
        (trials / name).touch()
        os.utime(trials / name, (time.time() - age,) * 2)
    FolderArtifactStore(tmp_path).check()
    assert [path.name for path in trials.iterdir()] == ["young"]


def test_a_folder_that_cannot_be_written_is_told(read_only: Path, source: Path) -> None:
    artifacts = FolderArtifactStore(read_only)
    with pytest.raises(ArtifactError, match="Read-only file system"):
        artifacts.put(KEY, source)
    with pytest.raises(ArtifactError, match="Read-only file system"):
        artifacts.check()
    assert not artifacts.exists(KEY)


def test_a_file_where_the_folder_should_be_is_told(source: Path, tmp_path: Path) -> None:
    artifacts = FolderArtifactStore(source)
    for call in (lambda: artifacts.put(KEY, source), lambda: artifacts.get(KEY, tmp_path / "back"), artifacts.check):
        with pytest.raises(ArtifactError, match="Not a directory"):
            call()


def test_who_is_reading_the_old_file_reads_it_to_its_end(tmp_path: Path, source: Path) -> None:
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    with Path(artifacts.put(KEY, source)).open("rb", buffering=0) as reader:
        source.write_bytes(b"second")
        artifacts.put(KEY, source)
        assert reader.read() == b"first"


@pytest.mark.parametrize("root", ["there/../artifacts", "link"])
def test_a_folder_may_be_named_in_a_roundabout_way(tmp_path: Path, source: Path, root: str) -> None:
    for name in ("there", "artifacts"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "artifacts")
    FolderArtifactStore(tmp_path / root).put(KEY, source)
    assert FolderArtifactStore(tmp_path / "artifacts").exists(KEY)


def test_a_part_of_another_machine_stays_for_a_day(tmp_path: Path, source: Path) -> None:
    root = tmp_path / "artifacts"
    (root / "d0c5").mkdir(parents=True)
    parts = [root / "d0c5" / f".part-{name}" for name in ("0123abcd-new", "0123abcd-old")]
    for part in parts:
        part.touch()
    os.utime(parts[1], (0, 0))
    FolderArtifactStore(root).put(KEY, source)
    assert [part.exists() for part in parts] == [True, False]


def test_a_copy_has_the_mode_of_its_folder_not_of_the_store(tmp_path: Path, source: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()  # as this process makes files
    store = FolderArtifactStore(tmp_path / "artifacts")
    address = store.put(KEY, source)
    store.get(KEY, tmp_path / "back")
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert stat.S_IMODE(Path(address).stat().st_mode) == 0o600  # see tests/unit/test_file_access.py for a group
