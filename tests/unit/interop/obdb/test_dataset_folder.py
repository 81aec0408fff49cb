"""The files of a data set of obdb's: found images, boxes in CSV that our reader reads, the same content once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.errors import DataError, InvalidInput
from mitorch_service.file_access import PRIVATE
from mitorch_service.interop.obdb.dataset_folder import located, write_splits
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.targets import Boxes


def image(name: str, *boxes: Box) -> AnnotatedImage:
    return AnnotatedImage(name, 100, 80, boxes)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_images_are_found_below_the_folder_or_by_the_end_of_their_name(tmp_path: Path) -> None:
    plain, moved = touch(tmp_path / "fielddata/31/a.jpg"), touch(tmp_path / "fielddata/32/b.jpg")
    found = located([image("fielddata/31/a.jpg"), image("/auto/imgs/fielddata/32/b.jpg")], tmp_path, "images")
    assert [one.path for one in found] == [str(plain), str(moved)]
    one, other = Box("Rape", 1, 2, 3, 4), Box("Rape", 5, 6, 7, 8)
    (same,) = located([image("x/b.jpg", one), image("y/b.jpg", one, other)], moved.parent, "images")
    assert same.boxes == (one, other)


def test_missing_images_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    touch(tmp_path.parent / "secret.jpg")
    with pytest.raises(InvalidInput, match=r"5 images of 6 not found below it: b\.jpg, c\.jpg, \.\./secret\.jpg, …"):
        located(list(map(image, ["a.jpg", "b.jpg", "c.jpg", "../secret.jpg", "", "d.jpg"])), tmp_path, "images")


def test_the_reader_of_csv_files_finds_what_was_written(tmp_path: Path) -> None:
    shown = [Box("Rape, wild", 1.25, 2, 30, 40.5), Box("Fat hen", 5, 6, 7, 8)]
    paths = [str(touch(tmp_path / name)) for name in ("a,b.jpg", "ü.jpg", "c.jpg")]
    splits = {"train": [image(paths[0], *shown), image(paths[1])], "val": [image(paths[2], Box("Zea", 1, 2, 3, 4))]}
    files = write_splits(splits, tmp_path / "sets", PRIVATE)
    train, val = (read_image_list(files[name]) for name in ("train", "val"))
    assert train.classes == val.classes == ("Fat hen", "Rape, wild", "Zea")  # one that is in val only, too
    assert list(train.images) == paths[:2]
    first, second = train.targets[0], train.targets[1]
    assert isinstance(first, Boxes)
    assert isinstance(second, Boxes)
    assert first.boxes.tolist() == [[1.25, 2, 30, 40.5], [5, 6, 7, 8]]
    assert first.labels.tolist() == [1, 0]
    assert len(second) == 0


def test_the_same_content_is_the_same_folder(tmp_path: Path) -> None:
    splits = {"train": [image("/a.jpg", Box("Rape", 1, 2, 3, 4))], "val": [image("/b.jpg")]}
    first = write_splits(splits, tmp_path, PRIVATE)
    assert write_splits(splits, tmp_path, PRIVATE) == first
    other = write_splits({**splits, "val": [image("/c.jpg")]}, tmp_path, PRIVATE)
    assert other["train"].parent != first["train"].parent
    assert len(list(tmp_path.iterdir())) == 2  # and nothing beside them


def test_a_name_of_a_class_that_labels_txt_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the class 'a\\nb' .*Rename it"):
        write_splits({"train": [image("a.jpg", Box("a\nb", 1, 2, 3, 4))]}, tmp_path / "sets", PRIVATE)
    assert not (tmp_path / "sets").exists()
