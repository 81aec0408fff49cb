from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.splits import check_same_classes, read_split, read_splits
from mitorch_service.training.data.targets import ClassTargets
from tests.unit.training.pictures import png, write_colors


def write_folders(folder: Path, **images: str) -> Path:
    """A folder for each class, with images of its colour; another size makes another file."""
    for number, (name, names) in enumerate(images.items()):
        (folder / name).mkdir(parents=True)
        for image in names.split():
            (folder / name / image).write_bytes(png("red", (9, 8 + len(folder.name) * 7 + number + len(image))))
    return folder


def test_validation_gets_the_classes_of_the_training(tmp_path: Path) -> None:
    train = write_folders(tmp_path / "train", cat="a.png", dog="b.png", owl="c.png")
    lists = read_splits({"val": write_folders(tmp_path / "val", owl="a.png"), "train": train})
    assert list(lists) == ["train", "val"]
    assert lists["val"].classes == ("cat", "dog", "owl")
    assert lists["val"].target(0) == 2


def test_the_same_classes_in_another_order_are_matched_by_name_if_that_is_asked_for(tmp_path: Path) -> None:
    train = read_split(write_folders(tmp_path / "train", cat="a.png", dog="b.png", owl="c.png"))
    (tmp_path / "labels.txt").write_text("owl\ncat\ndog\n")
    (tmp_path / "test.txt").write_text("train/cat/a.png 1\ntrain/owl/c.png 0\n")
    with pytest.raises(DataError, match="have different classes: class 0 is 'cat' in one and 'owl' in the other"):
        read_split(tmp_path / "test.txt", train=train)
    data = read_split(tmp_path / "test.txt", train=train, by_name=True)
    assert (data.classes, [data.target(0), data.target(1)]) == (train.classes, [0, 2])


def test_a_class_only_in_validation_is_named(tmp_path: Path) -> None:
    train = write_folders(tmp_path / "train", cat="a.png", dog="b.png")
    val = write_folders(tmp_path / "val", cow="a.png")
    with pytest.raises(DataError, match=r"pets val: class 'cow' is not in the classes of pets train \(cat, dog\)"):
        read_splits({"train": train, "val": val}, "pets")


def test_kinds_must_agree(tmp_path: Path) -> None:
    train = write_folders(tmp_path / "train", cat="a.png", dog="b.png")
    (tmp_path / "x.csv").write_text("filename,class,xmin,ymin,xmax,ymax\ntrain/cat/a.png,cat,0,0,2,2\n")
    with pytest.raises(DataError, match=r"is a multiclass set and .* a detection one"):
        read_splits({"train": train, "val": tmp_path / "x.csv"})


def test_a_multilabel_validation_may_show_one_class_in_each_image(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(png("red", (9, ord(name))))
    (tmp_path / "train.txt").write_text("a.png 0,1\n")
    (tmp_path / "val.txt").write_text("b.png 1\nc.png 0\n")
    val = read_splits({"train": tmp_path / "train.txt", "val": tmp_path / "val.txt"})["val"]
    assert val.kind == "multilabel"
    assert [val.target(index) for index in range(2)] == [(1,), (0,)]


def test_images_in_both_splits_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write_colors(tmp_path, 6)
    (tmp_path / "val").mkdir()
    shutil.copy(tmp_path / "train" / "0.png", tmp_path / "val" / "copy.png")
    (tmp_path / "val" / "new.png").write_bytes(png("blue"))
    val = tmp_path / "val.txt"
    val.write_text("train/1.png 1\ntrain/2.png 2\nval/copy.png 0\nval/new.png 2\n")
    read_splits({"train": train, "val": val}, "colors")
    copies = "2 of 4 images are also in colors train, and 1 more of the same content"
    assert [message for message in caplog.messages if copies in message]


def test_copies_in_archives_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, colors in (("train", ("red", "blue")), ("val", ("red", "lime"))):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for number, color in enumerate(colors):
                archive.writestr(f"{name}{number}.png", png(color))
        (tmp_path / f"{name}.txt").write_text(f"{name}.zip@{name}0.png 0\n{name}.zip@{name}1.png 1\n")
    read_splits({"train": tmp_path / "train.txt", "val": tmp_path / "val.txt"})
    assert "0 of 2 images are also in" in caplog.text
    assert "and 1 more of the same content" in caplog.text


def test_splits_that_share_nothing_are_told_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_splits(
        {
            "train": write_folders(tmp_path / "train", a="a.png", b="b.png"),
            "val": write_folders(tmp_path / "v", a="xxx.png"),
        }
    )
    assert caplog.messages == []


def test_boxes_beyond_images_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))  # 9 x 8
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("b.png", png("blue"))
    (tmp_path / "a.txt").write_text("0 1 1 12 5\n0 3 3 4 4\n")
    (tmp_path / "b.txt").write_text("0 20 1 22 5\n")
    (tmp_path / "train.txt").write_text("a.png a.txt\nx.zip@b.png b.txt\n")
    read_splits({"train": tmp_path / "train.txt"}, "pets")
    assert "pets train: 1 box is cut off at the edge of the image; the first is 1, 1, 12, 5" in (caplog.messages)
    assert "pets train: 1 box is outside of the image and left out; the first is 20, 1, 22, 5" in (caplog.messages)


def test_images_of_another_size_than_stated_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(png("red"))  # 9 x 8
    sizes = {"a.png": (9, 8), "b.png": (8, 9), "c.png": (None, None)}
    images = [{"id": n, "file_name": n, "width": width, "height": height} for n, (width, height) in sizes.items()]
    annotations = [{"image_id": name, "category_id": 1, "bbox": [1, 1, 4, 4]} for name in sizes]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "train.json").write_text(json.dumps(document))
    read_splits({"train": tmp_path / "train.json"}, "pets")
    told = "pets train: 1 image is not of the size that it states; the first: b.png is 9x8, not 8x9. "
    assert [message.startswith(told) for message in caplog.messages] == [True]


def image_list(name: str, labels: list[int], classes: tuple[str, ...], *, named: bool = True) -> ImageList:
    images = PackedStrings(f"{index}.png" for index in range(len(labels)))
    return ImageList(name, Path("/data"), images, ClassTargets(labels), classes, named)


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
    with pytest.raises(DataError, match=r"class_3 \(label 3, 1 image\)"):
        train = image_list("train", [0, 1], ("class_0", "class_1"), named=False)
        check_same_classes(train, image_list("val", [3], ("class_0", "class_1", "class_2", "class_3"), named=False))
