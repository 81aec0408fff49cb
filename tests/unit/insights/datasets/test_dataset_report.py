"""A version of a data set: its changes, its users, its sample images."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mitorch_service.insights.datasets.dataset_changes import changes_between
from mitorch_service.insights.datasets.dataset_report import read_dataset_lines, read_dataset_report
from mitorch_service.insights.datasets.dataset_samples import MOST_SAMPLES, SIDE, read_samples
from mitorch_service.models.dataset import ClassCount, Dataset, DatasetRef, DatasetSplit, SplitContents, SplitLeaks
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_dataset, a_training


def counted(version: int, **counts: int) -> Dataset:
    """A version whose training split has so many images of each class."""
    classes = [ClassCount(name=name, count=count) for name, count in counts.items()]
    images = sum(counts.values())
    contents = SplitContents(kind="multiclass", images=images, classes=len(counts), counts=classes)
    return a_dataset(version=version).model_copy(update={"contents": {"train": contents}})


def test_changes_are_told_by_split_and_class_the_largest_first() -> None:
    found = changes_between(counted(1, cat=10, dog=5, cow=1), counted(2, cat=12, dog=5, hen=9))
    assert [(one.split, one.before, one.after) for one in found.splits] == [("train", 16, 26)]
    assert [(one.name, one.difference) for one in found.classes] == [("hen", 9), ("cat", 2), ("cow", -1)]
    assert found.is_known and found.more == 0
    assert not changes_between(a_dataset(version=1), counted(2, cat=1)).is_known


def test_who_trained_on_a_version_is_found_by_the_index(store: Store) -> None:
    for version in (1, 2):
        store.datasets.add_dataset(counted(version, cat=version))
    name = counted(1).name
    for number, (version, accuracy) in enumerate([(2, 0.7), (2, 0.9), (1, 0.99), (2, None)]):
        evaluation = None if accuracy is None else {"val_loss": 0.1, "top1_accuracy": accuracy}
        training = a_training(dataset=DatasetRef(name=name, version=version), arrival=number, name=f"run {number}")
        primitives(store).insert("trainings", [{**training.to_document(), "evaluation": evaluation}])
    report = read_dataset_report(store, DatasetRef(name=name))
    assert report.dataset.version == 2 and [one.version for one in report.versions] == [2, 1]
    assert [row.name for row in report.use.rows] == ["run 3", "run 1", "run 0"]
    assert report.use.metric == "top1_accuracy"
    assert report.use.best is not None and report.use.best.name == "run 1"
    assert report.changes is not None and report.changes.since == 1
    lines, further = read_dataset_lines(store)
    assert [(line.newest.version, line.versions, line.last and line.last.name) for line in lines] == [(2, 2, "run 3")]
    assert further is None and read_dataset_lines(store, after=name) == ([], None)


def picture(path: Path, size: tuple[int, int] = (640, 480), **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (len(path.name) * 9 % 256, hash(path.name) % 256, 40)).save(path, **options)


def a_version(train: Path, val: Path) -> Dataset:
    splits = {"train": DatasetSplit(path=str(train)), "val": DatasetSplit(path=str(val))}
    return Dataset(id="shapes:1", name="shapes", version=1, created_at=NOW, **splits)


def test_samples_are_drawn_evenly_over_the_classes_and_carry_no_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x9286] = "a secret comment"
    for label, count in (("bolt", 40), ("nut", 2), ("washer", 40)):
        for number in range(count):
            picture(tmp_path / "train" / label / f"{label}{number}.jpg", exif=exif)
    picture(tmp_path / "val" / "bolt" / "v.jpg", (100, 50))
    (tmp_path / "val" / "bolt" / "copy.jpg").write_bytes((tmp_path / "train" / "bolt" / "bolt0.jpg").read_bytes())
    (tmp_path / "train" / "nut" / "nut0.jpg").write_bytes(b"no image")
    dataset = a_version(tmp_path / "train", tmp_path / "val")
    found = read_samples(dataset, seed=4)
    labels = [label for sample in found.samples for label in sample.labels]
    assert (len(found.samples), found.damaged) == (MOST_SAMPLES - 1, 1)
    assert (labels.count("bolt"), labels.count("nut"), labels.count("washer")) == (11, 1, 11)
    assert found.leaks == {"val": "1 image of 2 is in train too"}
    contents = SplitContents(kind="multiclass", images=2, classes=3, leaks=SplitLeaks(near_duplicates=2))
    checked = read_samples(dataset.model_copy(update={"contents": {"val": contents}}), seed=4)
    assert checked.leaks == {"val": "1 image of 2 is in train too, 2 images of 2 nearly the same as one before"}
    for sample in found.samples:
        with Image.open(BytesIO(sample.webp)) as image:
            assert image.size == (sample.width, sample.height) and max(image.size) <= SIDE
        assert b"secret" not in sample.webp
    assert [one.webp for one in read_samples(dataset, 4).samples] == [one.webp for one in found.samples]


def test_boxes_stay_where_they_are_on_a_turned_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture(tmp_path / "a.jpg", (200, 100), exif=exif)
    picture(tmp_path / "b.jpg", (50, 50))
    for name, file in (("train", "a.jpg"), ("val", "b.jpg")):
        content = {
            "images": [{"id": 1, "file_name": file}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 10]}],
            "categories": [{"id": 1, "name": "part"}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (sample,) = read_samples(a_version(tmp_path / "train.json", tmp_path / "val.json"), 0).samples
    (box,) = sample.boxes
    assert (box.label, box.x, box.y, box.width, box.height) == pytest.approx(("part", 0.9, 0.0, 0.1, 0.1))
    assert (sample.width, sample.height) == (100, 200)


def test_files_that_are_elsewhere_are_told_and_break_nothing(tmp_path: Path) -> None:
    missing = read_samples(a_version(tmp_path / "no.txt", tmp_path / "no.txt"), 0)
    assert missing.problem is not None and "cannot be read on this machine" in missing.problem
    remote = DatasetSplit(path="https://account.blob.core.windows.net/c/train.txt")
    found = read_samples(Dataset(id="r:1", name="r", version=1, created_at=NOW, train=remote, val=remote), 0)
    assert found.problem is not None and "blob storage" in found.problem
