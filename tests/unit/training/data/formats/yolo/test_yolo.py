from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.formats.yolo.yolo import has_split
from mitorch_service.training.data.splits import read_splits
from tests.unit.training.pictures import png
from tests.unit.training.read_boxes import boxes

YAML = "train: images/train\nval: images/val\nnames:\n  0: cat\n  1: owl\n"
LABELS = "1 0.5 0.5 0.2 0.4\n0 0.25 0.25 0.5 0.5\n"
SHOWN = [("owl", [8, 3, 12, 7]), ("cat", [0, 0, 10, 5])]  # in 20x10 pixels


def write(folder: Path, files: dict[str, str]) -> Path:
    """Writes texts, and a picture for each other name."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if name.endswith((".txt", ".yaml", ".data", ".names")) else png("red", (20, 10))
        (folder / name).write_bytes(data)
    return folder


FILES = {"data.yaml": YAML, "images/train/a.png": "", "images/train/day/b.png": "", "labels/train/a.txt": LABELS}


@pytest.mark.parametrize("at", ["data.yaml", ".", "images/train"])
def test_however_it_is_named(at: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_image_list(write(tmp_path, FILES) / at)
    assert (list(found.images), found.classes) == (["images/train/a.png", "images/train/day/b.png"], ("cat", "owl"))
    assert boxes(found) == SHOWN
    assert boxes(found, 1) == []  # no file of labels: it shows nothing
    assert found.stated_size(0) == (20, 10)
    check_files(found)
    assert caplog.messages == []


def test_the_splits_of_one_file(tmp_path: Path) -> None:
    root = write(tmp_path, FILES | {"images/val/c.png": "", "labels/val/c.txt": LABELS})
    lists = read_splits({"train": root / "data.yaml", "val": root / "data.yaml"})
    assert {name: list(images.images)[-1] for name, images in lists.items()} == {
        "train": "images/train/day/b.png",
        "val": "images/val/c.png",
    }
    assert has_split(root / "data.yaml", "val")
    assert not has_split(root / "data.yaml", "test")
    assert not has_split(root / "images" / "train", "val")
    with pytest.raises(DataError, match=r"has no 'test'; it has train, val"):
        read_image_list(root / "data.yaml", split="test")


SPLITS = {
    "a list of folders": ("[one/images, two/images]", ["one/images/a.png", "two/images/b.png"]),
    "a list of images": ("list.txt", ["one/images/a.png", "two/images/b.png"]),
    "as Roboflow writes it": ("../one/images", ["one/images/a.png"]),
}


@pytest.mark.parametrize("name", SPLITS)
def test_how_a_split_is_named(name: str, tmp_path: Path) -> None:
    split, images = SPLITS[name]
    files = {"one/images/a.png": "", "two/images/b.png": "", "list.txt": "./one/images/a.png\n\ntwo/images/b.png\n"}
    files |= {"one/labels/a.txt": LABELS, "data.yaml": f"path: ../datasets/birds\ntrain: {split}\nnames: [cat, owl]\n"}
    found = read_image_list(write(tmp_path, files) / "data.yaml")
    assert list(found.images) == images
    assert boxes(found) == SHOWN
    check_files(found)


def test_the_folders_of_a_split(tmp_path: Path) -> None:
    """Roboflow's: each split has a folder of images and one of labels."""
    files = {"train/images/a.png": "", "train/labels/a.txt": LABELS, "data.yaml": "nc: 2\nnames: [cat, owl]\n"}
    root = write(tmp_path, files)
    for at in ("train", "train/images"):
        assert boxes(read_image_list(root / at)) == SHOWN


def test_darknet(tmp_path: Path) -> None:
    """CVAT's "YOLO 1.1": labels beside the images, and lists with a folder that is not there."""
    files = {"obj_train_data/a.png": "", "obj_train_data/a.txt": LABELS, "obj.names": "cat\nowl\na\u2028b\n"}
    files |= {"train.txt": "data/obj_train_data/a.png\n"}
    files |= {"obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"}
    found = read_image_list(write(tmp_path, files) / "obj.data")
    assert (list(found.images), boxes(found)) == (["obj_train_data/a.png"], SHOWN)
    assert found.classes == ("cat", "owl", "a\u2028b")
    check_files(found)


def test_lines_with_more_than_a_box_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = "0 0.1 0.2 0.5 0.4 0.3 0.8\n1 0.5 0.5 0.2 0.4 0.91\n"
    found = read_image_list(write(tmp_path, FILES | {"labels/train/a.txt": lines}) / "data.yaml", "birds")
    assert boxes(found) == [("cat", [2, 2, 10, 8]), ("owl", [8, 3, 12, 7])]
    first = "the first is that of a line with more than five columns"
    assert caplog.messages == [
        "birds: shapes that became the boxes around them: 1 polygons",
        f"birds: 1 left out (the score of a box); {first}",
    ]
    caplog.clear()
    pose = {"data.yaml": f"{YAML}kpt_shape: [1, 3]\n", "labels/train/a.txt": "1 0.5 0.5 0.2 0.4 0.5 0.5 2\n"}
    assert boxes(read_image_list(write(tmp_path, FILES | pose) / "data.yaml", "birds")) == SHOWN[:1]
    assert caplog.messages == [f"birds: 1 left out (the points that belong to a box); {first}"]


def test_what_is_left_out_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {"images/train/notes.md": "", "labels/train/gone.txt": LABELS, "images/train/broken.png": ""}
    root = write(tmp_path, FILES | files | {"labels/train/broken.txt": LABELS})
    (root / "images" / "train" / "broken.png").write_bytes(b"")
    found = read_image_list(root / "data.yaml", "birds")
    assert [len(boxes(found, index)) for index in range(3)] == [2, 0, 0]
    assert sorted(caplog.messages) == [
        "birds: 1 left out (a file of labels without an image); the first is labels/train/gone.txt",
        "birds: 1 left out (not the extension of an image); the first is train/notes.md",
        "birds: 2 left out (a box of an image that cannot be read, in fractions of its size); "
        "the first is images/train/broken.png",
    ]


def test_images_that_are_turned_to_be_seen(tmp_path: Path) -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(buffer, "JPEG", exif=exif)
    root = write(tmp_path, {"data.yaml": "train: images\nnames: [cat]\n", "labels/a.txt": "0 0.2 0.1 0.4 0.2\n"})
    (root / "images").mkdir()
    (root / "images" / "a.jpg").write_bytes(buffer.getvalue())
    found = read_image_list(root / "data.yaml")
    assert (found.stated_size(0), boxes(found)) == ((20, 10), [("cat", [0, 6, 4, 10])])


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    other = ClassList(("owl", "cat"), "the training's")
    assert boxes(read_image_list(root / "data.yaml", classes=other)) == SHOWN
    with pytest.raises(DataError, match=r"class 'owl' is not in the training's"):
        read_image_list(root / "data.yaml", classes=ClassList(("cat",), "the training's"))
    unnamed = read_image_list(write(tmp_path, {"data.yaml": "nc: 2\ntrain: images/train\n"}) / "data.yaml")
    assert (unnamed.classes, unnamed.classes_named) == (("class_0", "class_1"), False)


MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("data.yaml", "names: [cat\n", r"data\.yaml: line 2, column 1: .*\(in YAML\)"),
        ("data.yaml", MERGES, "merged keys stand for more than 200000 values"),
        ("data.yaml", "model: x\n", "is not the data.yaml of a YOLO data set: it has no names"),
        ("data.yaml", "names: {1: cat, 2: owl}\ntrain: images\n", "Number the classes from 0"),
        ("data.yaml", "names: [[a], [b]]\ntrain: images\n", "not a list of the classes' names"),
        ("data.yaml", "names: [cat, cat]\ntrain: images\n", "two classes have the name 'cat'"),
        ("data.yaml", "names: [cat, '']\ntrain: images\n", "a class has no name"),
        ("data.yaml", "names: [cat]\nval: images/train\n", "has no 'train'; it has val"),
        ("data.yaml", "names: [cat]\ntrain: 5\n", "train is 5, not a folder"),
        ("data.yaml", "names: [cat]\ntrain: gone\n", "train is gone, but there is no such folder"),
        ("data.yaml", "names: [cat]\ntrain: images/train\n", r"a\.txt, line 1: class 1 is not one of the 1"),
        (
            "labels/train/a.txt",
            "0 0.5 0.5 0.2\n",
            r"labels/train/a\.txt, line 1: .* is not '<class id> x y width height'",
        ),
        ("labels/train/a.txt", "\n0 0.5 0.5 0.2 x\n", r"a\.txt, line 2: "),
        ("labels/train/a.txt", "0 0.5 0.5 0.2 nan\n", r"a\.txt, line 1: "),
        ("labels/train/a.txt", "0 200 120 20 30\n", "is not in fractions of the image"),
        ("labels/train/a.txt", "5 0.5 0.5 0.2 0.2\n", "class 5 is not one of the 2"),
    ],
)
def test_damage_is_named(file: str, content: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        read_image_list(write(tmp_path, FILES | {file: content}) / "data.yaml")


def test_no_labels_at_all(tmp_path: Path) -> None:
    root = write(tmp_path, {"data.yaml": YAML, "images/train/a.png": ""})
    with pytest.raises(DataError, match=r"no image has a file of labels, such as .*/labels/train/a\.txt"):
        read_image_list(root / "data.yaml")
