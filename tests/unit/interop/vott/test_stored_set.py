"""Data sets of annotation files in the artifact store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, MissingExtra
from mitorch_service.file_access import PRIVATE
from mitorch_service.interop.vott.annotations import stored_set
from mitorch_service.interop.vott.annotations.annotated_set import AnnotatedSet
from mitorch_service.interop.vott.annotations.stored_set import SetStorage
from mitorch_service.interop.vott.web.exchange import Unavailable
from mitorch_service.models.base import JsonObject
from mitorch_service.models.dataset import DatasetRef, DatasetSplit
from mitorch_service.operations.datasets.dataset_registration import DatasetRegistry
from mitorch_service.operations.datasets.datastores import DatastorePaths
from mitorch_service.operations.datasets.vott_datasets import register_annotated
from mitorch_service.settings import read_settings
from mitorch_service.training.data.images.image_files import read_size
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.data.zip_index import ZipFiles
from tests.unit.interop.vott.conftest import Bench
from tests.vott_host import Host, picture


class Killed(BaseException):
    """The end of the process."""


class Watched(FolderArtifactStore):
    """A folder with URLs, in which each file that is put is noted, and that may do something before or after it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, PRIVATE)
        self.put_keys: list[str] = []
        self.around: Callable[[], object] = lambda: None

    def put(self, key: str, source: Path) -> str:
        self.around()
        address = super().put(key, source)
        self.put_keys.append(key)
        self.around()
        return address


def made_set(folder: Path, count: int = 4) -> AnnotatedSet:
    """A set as it is made from annotations, with the images of an image store."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture(number))
    rows = [f"{folder}/{number}.png,1,2,30,40,{('cat', 'dog')[number % 2]}\n" for number in range(count)]
    header = "image,x1,y1,x2,y2,class\n"
    (folder / "train.csv").write_text(header + "".join(rows[1:]) + rows[1].replace(",1,2,", ",5,6,"))
    (folder / "val.csv").write_text(header + rows[0])
    (folder / "labels.txt").write_text("cat\ndog\n")
    splits = {name: folder / f"{name}.csv" for name in ("train", "val")}
    return AnnotatedSet(splits, folder / "labels.txt", "0123", ())


def storage_in(folder: Path, artifacts: FolderArtifactStore, stopped: bool = False) -> SetStorage:
    return SetStorage(artifacts, folder / "work", PRIVATE, lambda: stopped)


def test_runs_read_what_was_made(tmp_path: Path) -> None:
    made, artifacts = made_set(tmp_path / "made"), Watched(tmp_path / "artifacts")
    stored = storage_in(tmp_path, artifacts).store(made)
    before = read_splits(dict(made.splits), "made")
    after = read_splits({name: Path(split.path) for name, split in stored.splits.items()}, "stored")
    for name, images in after.items():
        assert images.classes == ("cat", "dog") and len(images) == len(before[name])
        assert [str(images.target(one)) for one in range(len(images))] == [
            str(before[name].target(one)) for one in range(len(images))
        ]
        assert read_size(images.location(0), ZipFiles()) == (64, 48)
    start = f"datasets/vott/{stored.digest}"
    assert artifacts.put_keys == [f"{start}/{name}" for name in ("images-1.zip", "labels.txt", "train.csv", "val.csv")]
    support = [Path(path).name for path in stored.splits["val"].support_files]
    assert support == ["labels.txt", "images-1.zip"] and not list((tmp_path / "work").iterdir())


def test_the_content_alone_names_it_and_is_sent_once(tmp_path: Path) -> None:
    artifacts = Watched(tmp_path / "artifacts")
    one = storage_in(tmp_path, artifacts).store(made_set(tmp_path / "made"))
    other = storage_in(tmp_path, artifacts).store(made_set(tmp_path / "another home"))
    assert one == other and len(artifacts.put_keys) == 4
    assert storage_in(tmp_path, artifacts).store(made_set(tmp_path / "more", 5)).digest != one.digest


def test_many_images_are_in_several_archives_of_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_set, "_ARCHIVE_BYTES", 2 * len(picture(0)) + 5)
    made, artifacts = made_set(tmp_path / "made", 5), Watched(tmp_path / "artifacts")
    stored = storage_in(tmp_path, artifacts).store(made)
    archives = [Path(path) for path in stored.splits["train"].support_files if path.endswith(".zip")]
    assert [path.name for path in archives] == ["images-1.zip", "images-2.zip", "images-3.zip"]
    contents = [path.read_bytes() for path in archives]
    artifacts.delete("datasets/")
    storage_in(tmp_path, artifacts).store(made)
    assert [path.read_bytes() for path in archives] == contents
    assert len(read_splits({"train": Path(stored.splits["train"].path)}, "stored")["train"]) == 4


def test_stopped_full_and_missing(tmp_path: Path) -> None:
    made, artifacts = made_set(tmp_path / "made"), Watched(tmp_path / "artifacts")
    with pytest.raises(Unavailable, match="stopped while images were stored"):
        storage_in(tmp_path, artifacts, stopped=True).store(made)
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"cannot be written .*set MITORCH_HOME"):
        storage_in(tmp_path / "file", artifacts).store(made)

    def missing() -> None:
        raise MissingExtra("azure-storage-blob", "azure")

    artifacts.around = missing
    with pytest.raises(ArtifactError, match="azure-storage-blob"):  # of ours: the message is not rejected
        storage_in(tmp_path, artifacts).store(made)
    assert artifacts.put_keys == []


def storing(bench: Bench, artifacts: Watched) -> Any:
    """The bench's consumer, with a store of data sets before the registry."""
    settings = read_settings({"MITORCH_HOME": str(bench.folder)})

    def no_workspace(cluster: object) -> Any:
        raise AssertionError(cluster)

    registry = DatasetRegistry(bench.store, DatasetFiles(bench.folder), DatastorePaths(settings, None, no_workspace))

    def register(name: str | None, made: AnnotatedSet, facts: JsonObject) -> DatasetRef:
        here: Mapping[str, DatasetSplit] = {
            key: DatasetSplit(path=str(path), support_files=[str(made.labels)]) for key, path in made.splits.items()
        }
        stored = SetStorage(artifacts, bench.folder / "sets", PRIVATE, bench.consumer.stop.is_set).store(made)
        return register_annotated(registry, name, stored.digest, here, stored.splits, facts)

    return replace(bench.consumer, acceptance=replace(bench.consumer.acceptance, register=register))


def send(bench: Bench, host: Host) -> None:
    images = [host.add_image(f"{number}.png", number) for number in range(3)]
    bench.queue.send({"annotations": host.add("boxes.csv", "".join(f"{one},1,1,60,40,cat\n" for one in images))})


class TestConsumer:
    def test_what_was_read_here_is_registered_where_runs_read_it(self, bench: Bench, host: Host) -> None:
        artifacts = Watched(bench.folder / "artifacts")
        send(bench, host)
        storing(bench, artifacts).take()
        (training,) = bench.trainings
        assert training.dataset is not None
        dataset = bench.store.datasets.get_dataset(training.dataset)
        assert dataset.train.path.startswith(str(bench.folder / "artifacts" / "datasets" / "vott"))
        assert sum(part.images for part in dataset.contents.values()) == 3  # read from the files of this machine
        assert "resources" not in training.config  # it may run everywhere

    @pytest.mark.parametrize("step", range(9))
    def test_killed_at_any_moment_of_it(self, bench: Bench, host: Host, step: int) -> None:
        artifacts, count = Watched(bench.folder / "artifacts"), 0

        def die() -> None:
            nonlocal count
            count += 1
            if count == step + 1:
                raise Killed

        artifacts.around = die
        send(bench, host)
        consumer = storing(bench, artifacts)
        try:
            consumer.take()
        except Killed:
            assert bench.trainings == []
        else:
            assert step == 8  # one more than there are
        bench.queue.end_leases()
        consumer.take()
        assert len(bench.trainings) == 1 and len(artifacts.put_keys) == 4
        assert bench.queue.letters == {} and bench.queue.rejected == []

    def test_a_store_that_fails_is_tried_again_while_the_message_is_held(self, bench: Bench, host: Host) -> None:
        artifacts, left = Watched(bench.folder / "artifacts"), 2
        renewed = threading.Event()

        def fail() -> None:
            nonlocal left
            if left:
                left -= 1
                while bench.queue.renewals < 1:
                    renewed.wait(0.001)
                raise ArtifactError("x.zip", "https://me/c", "HTTP 503")

        artifacts.around = fail
        send(bench, host)
        replace(storing(bench, artifacts), renew_every=0.002).take()
        assert len(bench.trainings) == 1 and bench.queue.rejected == [] and bench.queue.delays == []
        assert [line for line in bench.lines if "HTTP 503" in line and "trying again" in line][1:]
