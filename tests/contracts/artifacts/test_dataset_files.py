"""Data sets whose files lie in blob storage: loaded once for a machine, whole or not at all, and given up when old."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.artifacts.datastore_container import DatastoreContainer
from mitorch_service.cli.submission.submit_exp_config import DatastoreFiles
from mitorch_service.errors import ArtifactError, DataError
from mitorch_service.models.blob_storage.datastore import Datastore
from mitorch_service.models.dataset import Dataset, DatasetSplit, dataset_id, detach_sas_tokens
from tests.azurite_server import Azurite
from tests.cut_proxy import CutProxy
from tests.samples import NOW

MB = 1 << 20
TRAIN = {"train.txt": b"../shared/images.zip@1.png 0\n", "labels.txt": b"a\nb\n", "deep er/ä.zip": b"zip one"}
VAL = {"val.txt": b"images.zip@1.png 0\n", "deep er/ä.zip": b"zip two"}

_USE = """
import sys
from pathlib import Path
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.models.dataset import Dataset
with DatasetFiles(Path(sys.argv[1])).local_paths(Dataset.model_validate_json(sys.stdin.readline())) as paths:
    print(paths["train"].read_bytes()[:20].decode(), flush=True)
    sys.stdin.readline()
"""


class Storage:
    """A container with the files of data sets."""

    def __init__(self, azurite: Azurite) -> None:
        self.azurite, self.container = azurite, azurite.new_container()
        self.name = self.container.container_name

    def write(self, path: str, content: bytes) -> None:
        self.container.upload_blob(path, content, overwrite=True)

    def dataset(self, *paths: str, sas: str | None = None, host: str | None = None) -> Dataset:
        """Both splits are made of these paths, the first being the text file."""
        token = sas or self.azurite.sas(self.name, "rl")
        urls = [f"{self.azurite.url(self.name, path, host)}?{token}" for path in paths]
        split, tokens = detach_sas_tokens(DatasetSplit(path=urls[0], support_files=urls[1:]))
        id = dataset_id("digits", 1)
        return Dataset(id=id, name="digits", version=1, train=split, val=split, created_at=NOW, sas_tokens=tokens)


@pytest.fixture
def storage(azurite: Azurite) -> Storage:
    return Storage(azurite)


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[CutProxy]:
    proxy = CutProxy(azurite.host)
    yield proxy
    proxy.close()


def using(cache: Path, dataset: Dataset) -> subprocess.Popen[str]:
    """A process that loads the data set and then uses it until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _USE, str(cache)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(dataset.model_dump_json() + "\n")
    process.stdin.flush()
    return process


def kept(cache: Path) -> list[int]:
    """The sizes of the files that are kept."""
    return sorted(path.stat().st_size for path in (cache / "files").iterdir())


def views(cache: Path) -> list[Path]:
    return list((cache / "views").iterdir())


def test_files_of_this_machine_are_where_they_are(tmp_path: Path) -> None:
    split = DatasetSplit(path="/data/train.txt", support_files=["/data/images.zip"])
    dataset = Dataset(id="d:1", name="d", version=1, train=split, val=split, created_at=NOW)
    with DatasetFiles(tmp_path / "cache").local_paths(dataset) as paths:
        assert paths == {"train": Path("/data/train.txt"), "val": Path("/data/train.txt")}
    assert not (tmp_path / "cache").exists()


def test_a_folder_is_fetched_with_all_that_is_in_it(storage: Storage, tmp_path: Path) -> None:
    """As the pictures of exp_config.json are kept: versions in one folder, pictures in the other."""
    for name in ("images/1.png", "images/deep er/ä.png", "images2/3.png", "datasets/train.csv"):
        storage.write(f"pothole/{name}", name.encode())
    dataset = storage.dataset("pothole/datasets/train.csv", "pothole/images/")
    assert [split.support_files[0][-1] for split in dataset.splits().values()] == ["/", "/"]
    with DatasetFiles(tmp_path).local_paths(dataset) as paths:
        folder = paths["train"].parents[1]
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert found == {"datasets/train.csv", "images/1.png", "images/deep er/ä.png"}
        assert (folder / "images/deep er/ä.png").read_text() == "images/deep er/ä.png"
    with (
        pytest.raises(DataError, match="nothing/ has no file"),
        DatasetFiles(tmp_path).local_paths(storage.dataset("pothole/datasets/train.csv", "nothing/")),
    ):
        pass
    token = storage.azurite.sas(storage.name, "rl")
    wrong = {
        "train": DatasetSplit(
            path=f"{storage.azurite.url(storage.name, 'pothole/datasets/train.csv')}?{token}",
            support_files=[f"{storage.azurite.url(storage.name, 'nothing/')}?{token}"],
        )
    }
    (problem,) = DatasetFiles(tmp_path).problems(wrong)
    assert (problem.path, "has no file" in problem.message) == ("train.support_files[0]", True)


def test_latest_is_found_in_a_container(storage: Storage) -> None:
    for name in (
        "train_pothole_200101000000.csv",
        "test_pothole_200101000000.csv",
        "old/train_pothole_210101000000.csv",
    ):
        storage.write(f"pothole/datasets/{name}", f"filename,class\n{name},x".encode())
    account = storage.azurite.url("").rstrip("/")
    datastore = Datastore("data", account, storage.name, storage.azurite.sas(storage.name, "rl"))
    files = DatastoreFiles(DatastoreContainer(datastore), "pothole")
    assert files.names() == ["test_pothole_200101000000.csv", "train_pothole_200101000000.csv"]
    lines = list(files.lines("test_pothole_200101000000.csv"))
    assert lines == ["filename,class", "test_pothole_200101000000.csv,x"]
    assert DatastoreFiles(DatastoreContainer(datastore), "nothing").names() == []


def test_support_files_lie_where_the_text_file_looks_for_them(storage: Storage, tmp_path: Path) -> None:
    for path, content in TRAIN.items():
        storage.write(f"set/{path}", content)
    storage.write("shared/images.zip", b"shared")
    dataset = storage.dataset(*(f"set/{path}".replace(" ", "%20") for path in TRAIN), "shared/images.zip")
    with DatasetFiles(tmp_path).local_paths(dataset) as paths:
        folder = paths["train"].parent
        assert {path: (folder / path).read_bytes() for path in TRAIN} == TRAIN
        assert (folder / "../shared/images.zip").read_bytes() == b"shared"
        assert paths["val"] == paths["train"]
    assert views(tmp_path) == []
    assert len(kept(tmp_path)) == 4


def test_what_was_loaded_is_not_loaded_again_and_a_new_token_changes_nothing(
    storage: Storage, proxy: CutProxy, tmp_path: Path
) -> None:
    storage.write("train.txt", os.urandom(3 * MB))
    files = DatasetFiles(tmp_path)
    with files.local_paths(storage.dataset("train.txt", host=proxy.address)):
        before = proxy.bytes["down"]
    assert before > 3 * MB
    with files.local_paths(
        storage.dataset("train.txt", host=proxy.address, sas=storage.azurite.sas(storage.name, "r"))
    ):
        assert proxy.bytes["down"] - before < 64 * 1024


def test_a_changed_file_is_loaded_anew_and_who_reads_the_old_one_keeps_it(storage: Storage, tmp_path: Path) -> None:
    files, dataset = DatasetFiles(tmp_path), storage.dataset("train.txt")
    storage.write("train.txt", b"old")
    with files.local_paths(dataset) as old:
        storage.write("train.txt", b"new")
        with files.local_paths(dataset) as new:
            assert new["train"].read_bytes() == b"new"
        assert old["train"].read_bytes() == b"old"


def test_many_processes_load_a_file_once(storage: Storage, proxy: CutProxy, tmp_path: Path) -> None:
    storage.write("train.txt", b"0" * 20 * MB)
    dataset = storage.dataset("train.txt", host=proxy.address)
    processes = [using(tmp_path, dataset) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "0" * 20 + "\n"
    assert proxy.bytes["down"] < 21 * MB
    assert len(views(tmp_path)) == 8  # a folder and a lock each
    for process in processes:
        process.communicate("\n")
    assert kept(tmp_path) == [20 * MB]
    assert views(tmp_path) == []


def test_a_process_killed_in_the_middle_leaves_what_the_next_goes_on_with(
    storage: Storage, proxy: CutProxy, tmp_path: Path
) -> None:
    storage.write("train.txt", b"0" * 50 * MB)
    proxy.hold("down", 42 * MB)
    with using(tmp_path, storage.dataset("train.txt", host=proxy.address)) as process:
        assert proxy.reached.wait(60)
        process.send_signal(signal.SIGKILL)
    proxy.release()
    (part,) = (tmp_path / "files").iterdir()
    there = part.stat().st_size
    assert part.name.startswith(".part-")
    assert there >= 8 * MB
    before = proxy.bytes["down"]
    with DatasetFiles(tmp_path).local_paths(storage.dataset("train.txt", host=proxy.address)) as paths:
        assert proxy.bytes["down"] - before <= 50 * MB - there + 128 * 1024  # headers, and what the proxy held
        assert paths["train"].read_bytes() == b"0" * 50 * MB
        assert len(views(tmp_path)) == 2  # the killed one's is swept away
    assert kept(tmp_path) == [50 * MB]


def test_a_file_replaced_while_it_is_loaded_is_loaded_anew(storage: Storage, proxy: CutProxy, tmp_path: Path) -> None:
    storage.write("train.txt", b"0" * 50 * MB)
    proxy.hold("down", 20 * MB)
    process = using(tmp_path, storage.dataset("train.txt", host=proxy.address))
    assert proxy.reached.wait(60)
    storage.write("train.txt", b"1" * 45 * MB)
    proxy.release()
    assert process.communicate("\n")[0] == "1" * 20 + "\n"
    assert kept(tmp_path) == [45 * MB]


def test_the_least_recently_used_files_go_and_those_in_use_stay(storage: Storage, tmp_path: Path) -> None:
    files = DatasetFiles(tmp_path, limit=5 * MB)
    for size in (1, 2, 3):
        storage.write(f"{size}.txt", bytes(size * MB))
    with files.local_paths(storage.dataset("1.txt")) as used:
        with files.local_paths(storage.dataset("2.txt")):
            pass
        os.utime(next(path for path in (tmp_path / "files").iterdir() if path.stat().st_size == 2 * MB), (1, 1))
        with files.local_paths(storage.dataset("3.txt")):
            pass
        assert kept(tmp_path) == [MB, 2 * MB, 3 * MB]  # what is in use does not count
        storage.write("4.txt", bytes(MB // 2))
        with files.local_paths(storage.dataset("4.txt")):
            pass
        assert kept(tmp_path) == [MB // 2, MB, 3 * MB]
        assert used["train"].read_bytes() == bytes(MB)


def test_a_disk_without_room_is_told(storage: Storage, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    try:
        storage.write("train.txt", bytes(3 * MB))
        with pytest.raises(ArtifactError, match=r"3 MB do not fit .* MITORCH_HOME"):
            DatasetFiles(disk).local_paths(storage.dataset("train.txt")).__enter__()
        assert shutil.disk_usage(disk).free > MB
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_the_storage_refuses_is_the_data_sets_fault(storage: Storage, tmp_path: Path) -> None:
    storage.write("train.txt", b"x")
    old = storage.azurite.sas(storage.name, "r", datetime(2026, 1, 2, tzinfo=UTC))
    files = DatasetFiles(tmp_path)
    with pytest.raises(DataError, match=r"train\.txt: the SAS token expired on 2026-01-02 00:00 UTC") as caught:
        files.local_paths(storage.dataset("train.txt", sas=old)).__enter__()
    assert "sig" not in str(caught.value)
    with pytest.raises(DataError, match=r"images\.zip: file not found"):
        files.local_paths(storage.dataset("train.txt", "images.zip")).__enter__()
    assert views(tmp_path) == []


def test_the_loading_is_told_in_the_log(storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mitorch")
    storage.write("train.txt", bytes(2 * MB))
    with DatasetFiles(tmp_path).local_paths(storage.dataset("train.txt")):
        pass
    assert caplog.messages == [
        "data set digits:1: 0 of 1 files available, 0 of 2 MB downloaded",
        "data set digits:1: all files are available",
    ]


def test_urls_that_cannot_be_reached_are_told_by_their_field(storage: Storage, tmp_path: Path) -> None:
    def problems(path: str, *support: str) -> list[str]:
        return [
            *map(str, DatasetFiles(tmp_path).problems({"train": DatasetSplit(path=path, support_files=[*support])}))
        ]

    token = storage.azurite.sas(storage.name, "r")
    storage.write("train.txt", b"x")
    right = f"{storage.azurite.url(storage.name, 'train.txt')}?{token}"
    missing = f"{storage.azurite.url(storage.name, 'images.zip')}?{token}"
    other = f"{storage.azurite.url('other', 'images.zip')}?{token}"
    assert problems(right) == []
    assert problems("/data/train.txt") == []
    (one,) = problems(right, right, missing)
    assert one.startswith("train.support_files[1]: http://")
    assert one.endswith("images.zip: file not found.")
    (one,) = problems(right, other)
    assert one.startswith("train.support_files: are in several containers")
    (one,) = problems(right, "/data/images.zip")
    assert one.startswith("train: mixes URLs with files of this machine")
    (one,) = problems("https://me.blob.core.windows.net/only?sig=hush")
    assert one == "train.path: https://me.blob.core.windows.net/only names a container, not a file"
    (one,) = problems("http://me.blob.core.windows.net/a/b?sig=hush")
    assert one.startswith("train.path: http://me.blob.core.windows.net/a/b must begin with https://")
