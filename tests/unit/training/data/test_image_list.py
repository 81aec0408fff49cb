from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, ImageLocation, PackedStrings
from mitorch_service.training.data.splits import check_same_classes
from mitorch_service.training.data.targets import ClassTargets


def image_list(name: str, labels: list[int], classes: tuple[str, ...], *, named: bool = True) -> ImageList:
    images = PackedStrings(f"{index}.png" for index in range(len(labels)))
    return ImageList(name, Path("/data"), images, ClassTargets(labels), classes, named)


def test_packed_strings_are_a_sequence() -> None:
    strings = ["a", "", "größe.png", "\udcff.png"]
    packed = PackedStrings(strings)
    assert list(packed) == strings
    assert list(pickle.loads(pickle.dumps(packed))) == strings
    assert len(packed) == 4
    with pytest.raises(IndexError):
        packed[4]


@pytest.mark.parametrize(
    ("text", "path", "entry"),
    [
        ("a/b.png", "/data/a/b.png", None),
        ("/else/b.png", "/else/b.png", None),
        ("logo@2x.png", "/data/logo@2x.png", None),
        ("a.zip@b/c.png", "/data/a.zip", "b/c.png"),
        ("A.ZIP@b@2x.png", "/data/A.ZIP", "b@2x.png"),
        ("a.zip@b.zip@c.png", "/data/a.zip", "b.zip@c.png"),
    ],
)
def test_location(text: str, path: str, entry: str | None) -> None:
    location = ImageLocation.parse(text, Path("/data"))
    assert location == ImageLocation(Path(path), entry)
    assert str(location) == (path if entry is None else f"{path}@{entry}")


def test_same_classes_accepts_classes_that_no_image_has() -> None:
    train = image_list("train", [0, 1, 1], ("cat", "dog", "cow"))
    check_same_classes(train, image_list("val", [1], ("cat", "dog", "cow")))
    check_same_classes(train, image_list("val", [1], ("class_0", "class_1"), named=False))
    with pytest.raises(DataError):  # it does look: the other way round an image has a class that none is trained on
        check_same_classes(train, image_list("val", [2], ("cat", "dog", "cow")))


def test_one_class_is_none() -> None:
    one = image_list("train", [0, 0], ("cat",))
    with pytest.raises(DataError, match="train has only one class"):
        check_same_classes(one, one)


def test_different_names_are_refused() -> None:
    train = image_list("train", [0, 1], ("cat", "dog"))
    with pytest.raises(DataError, match="class 1 is 'dog' in one and 'cow' in the other"):
        check_same_classes(train, image_list("val", [0], ("cat", "cow")))
    with pytest.raises(DataError, match="2 in one and 3 in the other"):
        check_same_classes(train, image_list("val", [0], ("cat", "dog", "cow")))


def test_a_class_seen_only_in_validation_is_named() -> None:
    classes = ("cat", "dog", "cow")
    with pytest.raises(DataError, match=r"val has images of classes that train has none of: cow \(label 2, 2 images\)"):
        check_same_classes(image_list("train", [0, 1], classes), image_list("val", [2, 0, 2], classes))
    with pytest.raises(DataError, match=r"class_3 \(label 3, 1 images\)"):
        train = image_list("train", [0, 1], ("class_0", "class_1"), named=False)
        check_same_classes(train, image_list("val", [3], ("class_0", "class_1", "class_2", "class_3"), named=False))
