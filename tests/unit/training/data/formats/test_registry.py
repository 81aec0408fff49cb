from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.formats.voc import voc as dataset_voc
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.targets import Boxes
from tests.unit.training.pictures import png

Shown = dict[str, list[tuple[str, list[float]]]]
# What every format of boxes is written with, below.
SHOWN: Shown = {
    "a b.png": [("dog", [1, 2, 5, 6]), ("cat", [0, 0, 3, 3])],
    "clean.png": [],
    "c.png": [("cat", [2, 3, 9, 8])],
}


def shown(images: ImageList) -> Shown:
    found: Shown = {}
    for index, image in enumerate(images.images):
        target = images.target(index)
        assert isinstance(target, Boxes)
        pairs = zip(target.labels.tolist(), target.boxes.tolist(), strict=True)
        found[image] = [(images.classes[label], corners) for label, corners in pairs]
    return found


def write_images(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHOWN:
        (folder / name).write_bytes(png("red"))  # 9 x 8


def coco() -> dict[str, Any]:
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    ids = {"dog": 7, "cat": 3}
    images = [{"id": 10 + n, "file_name": name, "width": 9, "height": 8} for n, name in enumerate(SHOWN)]
    annotations = [
        {"id": 1, "image_id": 10 + n, "category_id": ids[label], "bbox": [x, y, right - x, bottom - y]}
        for n, boxes in enumerate(SHOWN.values())
        for label, (x, y, right, bottom) in boxes
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_voc(root: Path, difference: str = "") -> None:
    (root / "Annotations").mkdir(parents=True)
    for name, boxes in SHOWN.items():
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{right}</xmax>"
            f"<ymax>{bottom}</ymax></bndbox></object>"
            for label, (x, y, right, bottom) in boxes
        )
        size = "<size><width>9</width><height>8</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}</filename>{size}{objects}{difference}</annotation>"
        (root / "Annotations" / f"{Path(name).stem}.xml").write_text(text)


@pytest.mark.parametrize("images", [".", "images", "../images", "../train", "train"])
def test_coco(tmp_path: Path, images: str) -> None:
    (tmp_path / "annotations").mkdir()
    write_images(tmp_path / "annotations" / images)
    path = tmp_path / "annotations" / "instances_train.json"
    path.write_text(json.dumps(coco()))
    found = read_image_list(path)
    assert found.classes == ("cat", "dog")  # by id
    assert shown(found) == SHOWN
    check_files(found)


@pytest.mark.parametrize("lists", list(permutations(("images", "annotations", "categories"))))
def test_the_lists_of_coco_come_in_any_order(tmp_path: Path, lists: tuple[str, ...]) -> None:
    write_images(tmp_path)
    document = coco()
    (tmp_path / "a.json").write_text(json.dumps({name: document[name] for name in lists}))
    found = read_image_list(tmp_path / "a.json")
    assert found.classes == ("cat", "dog")
    assert shown(found) == SHOWN


@pytest.mark.parametrize("at", [".", "Annotations"])
@pytest.mark.parametrize("images", ["JPEGImages", "images"])
def test_voc(tmp_path: Path, at: str, images: str) -> None:
    write_voc(tmp_path)
    write_images(tmp_path / images)
    found = read_image_list(tmp_path / at)
    assert found.classes == ("cat", "dog")
    assert shown(found) == SHOWN
    check_files(found)


def test_many_files_of_voc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_voc, "_FILES_PER_CALL", 2)
    write_voc(tmp_path)
    write_images(tmp_path / "JPEGImages")
    for number in range(60):
        text = f"<annotation><filename>x{number}.png</filename><object><name>bird {number % 2}</name>"
        text += f"<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{number + 1}</xmax><ymax>9</ymax></bndbox></object>"
        (tmp_path / "Annotations" / f"x{number:02}.xml").write_text(f"{text}</annotation>")
    found = shown(read_image_list(tmp_path))
    expected = {f"x{number}.png": [(f"bird {number % 2}", [0, 0, number + 1, 9])] for number in range(60)}
    assert found == SHOWN | expected
    (tmp_path / "Annotations" / "x57.xml").write_text("<annotation><filename>x57.png")
    with pytest.raises(DataError, match=r"x57\.xml: cannot be read as XML"):
        read_image_list(tmp_path)


def test_a_list_of_voc(tmp_path: Path) -> None:
    write_voc(tmp_path)
    write_images(tmp_path / "JPEGImages")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("c\nclean\n")
    assert list(read_image_list(lists / "train.txt").images) == ["c.png", "clean.png"]
    (lists / "cat_train.txt").write_text("c 1\nclean -1\n")
    assert list(read_image_list(lists / "cat_train.txt").images) == ["c.png"]
    (lists / "val.txt").write_text("nowhere\n")
    with pytest.raises(DataError, match=r"nowhere is listed, but .*nowhere\.xml is missing"):
        read_image_list(lists / "val.txt")


def vott(header: str) -> str:
    rows = [f"{name},{','.join(map(str, box))},{label}" for name, boxes in SHOWN.items() for label, box in boxes]
    return "\n".join([*([header] if header else []), rows[0], rows[1], "clean.png,,,,,", rows[2]])


def seed() -> str:
    rows = ["filename,class,xmin,ymin,xmax,ymax"]
    for name, boxes in SHOWN.items():
        rows += [f"{name},{label},{','.join(map(str, box))}" for label, box in boxes] or [f"{name},,0,0,0,0"]
    return "\n".join(rows)


def table() -> str:
    """The corners of a box in either order, its class under either key."""
    rows = ["image_url,label,label_confidence"]
    for key, (name, boxes) in zip(("type", "label", "type"), SHOWN.items(), strict=True):
        entries = [
            {key: label, "bottomX": right, "topX": x, "bottomY": y, "topY": bottom}
            for label, (x, y, right, bottom) in boxes
        ]
        rows.append(f'{name},"{entries}",0.9')
    return "\n".join(rows)


@pytest.mark.parametrize("text", [vott(""), vott("image,x1,y1,x2,y2,class"), seed(), table()])
@pytest.mark.parametrize("images", [".", "images"])
def test_csv(tmp_path: Path, text: str, images: str) -> None:
    write_images(tmp_path / images)
    (tmp_path / "train.csv").write_text(text)
    found = read_image_list(tmp_path / "train.csv")
    assert found.classes == ("cat", "dog")
    assert shown(found) == SHOWN
    check_files(found)


@pytest.mark.parametrize("text", [seed().replace(".png", ".png "), table().replace(".png", ".png ")])
def test_blanks_behind_an_image_do_not_count(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert shown(read_image_list(tmp_path / "a.csv")) == SHOWN


def test_rows_of_one_image_need_not_be_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a.png,1,1,2,2,x\nb.png,3,3,4,4,y\na.png,5,5,6,6,z\n")
    found = read_image_list(tmp_path / "a.csv")
    assert shown(found) == {"a.png": [("x", [1, 1, 2, 2]), ("z", [5, 5, 6, 6])], "b.png": [("y", [3, 3, 4, 4])]}


def test_an_image_folder(tmp_path: Path) -> None:
    for name in ("dog/deep/2.PNG", "dog/1.png", "cat/a b.jpg", "cat/c.jfif", ".hidden/x.png", "dog/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png("red"))
    found = read_image_list(tmp_path)
    assert found.kind == "multiclass"
    assert found.classes == ("cat", "dog")
    assert list(found.images) == ["cat/a b.jpg", "cat/c.jfif", "dog/1.png", "dog/deep/2.PNG"]
    assert [found.target(index) for index in range(4)] == [0, 0, 1, 1]
    check_files(found)


def test_a_given_list_of_classes_holds_for_every_format(tmp_path: Path) -> None:
    classes = ClassList(("dog", "owl", "cat"), "the training images")
    (tmp_path / "a.csv").write_text(seed())
    (tmp_path / "a.json").write_text(json.dumps(coco()))
    for name in ("a.csv", "a.json"):
        found = read_image_list(tmp_path / name, None, classes)
        assert found.classes == classes.names
        assert shown(found) == SHOWN
    with pytest.raises(DataError, match=r"line 3: class 'cat' is not in the training images \(dog, owl\)"):
        read_image_list(tmp_path / "a.csv", None, ClassList(("dog", "owl"), "the training images"))


def test_labels_txt_beside_a_file_names_its_classes(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("owl\ndog\ncat\n")
    (tmp_path / "a.csv").write_text(seed())
    assert read_image_list(tmp_path / "a.csv").classes == ("owl", "dog", "cat")


def test_boxes_beyond_images_of_known_size_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = coco()
    for box in ([4, 4, 20, 2], [30, 1, 2, 2], [5, 5, -2, 2]):
        document["annotations"].append({"image_id": 11, "category_id": 7, "bbox": box})
    document["annotations"].append({"image_id": 11, "category_id": 7, "bbox": [0, 0, 9, 8], "iscrowd": 1})
    (tmp_path / "a.json").write_text(json.dumps(document))
    found = read_image_list(tmp_path / "a.json", "pets")
    assert shown(found)["clean.png"] == [("dog", [4, 4, 9, 6])]
    assert "pets: 1 region of crowds is left out" in caplog.messages
    told = "\n".join(caplog.messages)
    assert "1 box is cut off at the edge of the image; the first is 4, 4, 24, 6" in told
    assert "1 box is outside of the image and left out" in told
    assert "1 box is inverted" in told


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", '{"images": []}', "it has no annotations, categories"),
        ("a.json", '{"images": [{"id": 1}], "annotations": [], "categories": []}', "KeyError: 'file_name'"),
        ("a.csv", "", "is empty"),
        ("a.csv", "name,what\n", r"the first line \(name,what\) is neither a header with filename,x1,y1,x2,y2,class"),
        ("a.csv", "image,x1,y1,x2,y2,class\na,1,2,x,4,c\n", "line 2: 'a,1,2,x,4,c' does not have the image, a class"),
        ("a.csv", "image,x1,y1,x2,y2,class\na,1\n", "line 2: 'a,1' does not have 6 columns"),
        ("a.csv", "image_url,label\n ,[]\n", "line 2: image_url is empty"),
        ("a.csv", "image_url,label\na,5\n", "line 2: the label is not a list"),
        ("a.csv", "image_url,label\na,\"[{'type': 'x'}]\"\n", "line 2: .* is not a box with type"),
        ("a.csv", "image_url,label\na,__import__('os')\n", "line 2: the label is not a list"),
        ("Annotations/a.xml", "<annotation>", "cannot be read as XML"),
        ("Annotations/a.xml", "<a/>", "the root is <a>"),
        ("Annotations/a.xml", "<annotation/>", "<annotation> has no <filename>"),
    ],
)
def test_refuses_what_is_not_the_format(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_image_list(tmp_path / name if name.startswith("a") else tmp_path)


def test_voc_with_the_images_beside_the_files(tmp_path: Path) -> None:
    write_voc(tmp_path / "pets")
    (tmp_path / "pets" / "Annotations").rename(tmp_path / "train")
    write_images(tmp_path / "train")
    found = read_image_list(tmp_path / "train")
    assert shown(found) == SHOWN
    check_files(found)


@pytest.mark.parametrize("written", ["c", "before.png", r"C:\pets\c.png"])
def test_voc_names_an_image_loosely(tmp_path: Path, written: str) -> None:
    write_voc(tmp_path)
    write_images(tmp_path / "JPEGImages")
    file = tmp_path / "Annotations" / "c.xml"
    file.write_text(file.read_text().replace("c.png", written))
    found = read_image_list(tmp_path)
    assert shown(found) == SHOWN
    check_files(found)


def test_two_files_of_voc_for_one_image(tmp_path: Path) -> None:
    write_voc(tmp_path)
    write_images(tmp_path / "JPEGImages")
    file = tmp_path / "Annotations" / "clean.xml"
    file.write_text(file.read_text().replace("clean.png", "c.png"))
    with pytest.raises(DataError, match=r"clean\.xml: names c\.png, which a file before it names as well"):
        read_image_list(tmp_path)


def test_a_list_of_voc_written_on_windows(tmp_path: Path) -> None:
    write_voc(tmp_path)
    write_images(tmp_path / "JPEGImages")
    split = tmp_path / "ImageSets" / "Main" / "train.txt"
    split.parent.mkdir(parents=True)
    split.write_text("c\r\nclean\r\n", encoding="utf-8-sig")
    assert list(read_image_list(split).images) == ["c.png", "clean.png"]
    split.write_text("c\nclean\n", encoding="utf-16")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        read_image_list(split)


def test_rows_of_commas_only_are_blank(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{seed()}\n,,,,,\n,,,,,\n")
    assert shown(read_image_list(tmp_path / "a.csv")) == SHOWN
    (tmp_path / "a.csv").write_text(f"{seed()}\n,cat,1,2,3,4\n")
    with pytest.raises(DataError, match="line 6: ',cat,1,2,3,4' does not have the image"):
        read_image_list(tmp_path / "a.csv")


def test_sizes_that_coco_leaves_empty_are_unknown(tmp_path: Path) -> None:
    document = coco()
    document["images"][0] |= {"width": None, "height": None}
    document["images"][2] |= {"width": 0, "height": 0}
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert shown(read_image_list(tmp_path / "a.json")) == SHOWN


def test_wrong_entries_of_coco_are_named(tmp_path: Path) -> None:
    document = coco()
    document["annotations"][1] |= {"id": 5, "bbox": []}
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"annotation 5 has no bbox \[x, y, width, height\]"):
        read_image_list(tmp_path / "a.json")
    document = coco()
    document["images"][1]["id"] = 10
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="two images have the id 10"):
        read_image_list(tmp_path / "a.json")


def test_boxes_in_parts_of_the_image_are_refused(tmp_path: Path) -> None:
    header = "image,x1,y1,x2,y2,class\n"
    (tmp_path / "a.csv").write_text(f"{header}a.png,0.1,0.2,0.5,1.0,cat\nb.png,0,0,1,1,cat\n")
    with pytest.raises(
        DataError, match=r"all boxes are between 0 and 1, fractions of the image\. Write corners in pixels"
    ):
        read_image_list(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(f"{header}a.png,0.1,0.2,0.5,1.0,cat\nb.png,0,0,1,2,cat\n")
    assert len(read_image_list(tmp_path / "a.csv")) == 2


def test_folders_of_splits_are_no_classes(tmp_path: Path) -> None:
    for name in ("train", "Val"):
        (tmp_path / name / "cat").mkdir(parents=True)
        (tmp_path / name / "cat" / "a.png").write_bytes(png("red", (9, 8)))
    with pytest.raises(DataError, match=r"its folders are splits, not classes.*/Val and .*/train\."):
        read_image_list(tmp_path)
