from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.annotations.writers.registry import FOLDERS, ONE_WAY, WRITERS, write_annotations
from mitorch_service.errors import DataError, InvalidInput
from tests.hostile_names import HOSTILE_CELLS, HOSTILE_NAMES

CLASSES = ("cat", 'a "black", <dog> & co')
DRAWN = AnnotatedImage("day/a.png", 40, 20, (Box(CLASSES[1], 1, 2.5, 11, 12.25), Box("cat", 0, 0, 40, 20)))
EMPTY = AnnotatedImage("b c.png", 8, 8)
FOUND = AnnotatedImage("a.png", 40, 20, (Box("cat", 1, 2, 11, 12, 0.9251234567),))
LABELED = AnnotatedImage("a.png", 40, 20, labels=(Label(CLASSES[1]),))
RANKED = AnnotatedImage("a.png", 40, 20, labels=(Label(CLASSES[1], 0.75), Label("cat", 0.25)))


def write(format: str, out: Path, *images: AnnotatedImage) -> Path:
    write_annotations(format, iter(images), CLASSES, out)
    return out


def test_coco(tmp_path: Path) -> None:
    document = json.loads(write("coco", tmp_path / "new" / "a.json", DRAWN, EMPTY).read_text())
    assert document["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": CLASSES[1]}]
    assert document["images"][1] == {"id": 2, "file_name": "b c.png", "width": 8, "height": 8}
    first = {
        "id": 1,
        "image_id": 1,
        "category_id": 2,
        "bbox": [1, 2.5, 10, 9.75],
        "area": 97.5,
        "iscrowd": 0,
        "segmentation": [],
    }
    assert document["annotations"][0] == first
    assert len(document["annotations"]) == 2
    found = json.loads(write("coco", tmp_path / "b.json", FOUND).read_text())
    assert found["annotations"][0]["score"] == 0.925123


def test_csv(tmp_path: Path) -> None:
    rows = list(csv.reader(write("csv", tmp_path / "a.csv", EMPTY, DRAWN).read_text().splitlines()))
    assert rows[:3] == [
        ["image", "x1", "y1", "x2", "y2", "class"],
        ["b c.png", "", "", "", "", ""],
        ["day/a.png", "1", "2.5", "11", "12.25", CLASSES[1]],
    ]
    assert write("csv", tmp_path / "b.csv", FOUND, EMPTY).read_text().splitlines() == [
        "image,x1,y1,x2,y2,class,score",
        "a.png,1,2,11,12,cat,0.925123",
        "b c.png,,,,,,",
    ]
    ranked = list(csv.reader(write("csv", tmp_path / "c.csv", RANKED).read_text().splitlines()))
    assert ranked == [["image", "label", "score"], ["a.png", CLASSES[1], "0.75"], ["a.png", "cat", "0.25"]]


def test_text(tmp_path: Path) -> None:
    folder = write("text", tmp_path / "boxes", DRAWN, EMPTY)
    lines = 'day/a.png boxes/day/a.png.txt\n"b c.png" "boxes/b c.png.txt"\n'
    assert (folder / "images.txt").read_text() == lines
    assert (folder / "labels.txt").read_text() == f"cat\n{CLASSES[1]}\n"
    assert (folder / "boxes" / "day" / "a.png.txt").read_text() == "1 1 2.5 11 12.25\n0 0 0 40 20\n"
    assert (folder / "boxes" / "b c.png.txt").read_text() == ""
    labels = write("text", tmp_path / "labels", LABELED, RANKED)
    assert (labels / "images.txt").read_text() == "a.png 1\na.png 1,0\n"


def test_voc(tmp_path: Path) -> None:
    twin = AnnotatedImage("day/a.jpg", 4, 4)
    entry = AnnotatedImage("x.zip@day/a.jpg", 4, 4)
    folder = write("voc", tmp_path / "voc", DRAWN, twin, entry)
    files = sorted(path.relative_to(folder / "Annotations").as_posix() for path in folder.rglob("*.xml"))
    assert files == ["day/a.jpg.xml", "day/a.xml", "x.zip_day_a.xml"]
    assert (folder / "ImageSets" / "Main" / "default.txt").read_text() == "day/a\nday/a.jpg\nx.zip_day_a\n"
    assert (folder / "labelmap.txt").read_text().splitlines()[1:] == ["cat:::", f"{CLASSES[1]}:::"]
    root = ElementTree.parse(folder / "Annotations" / "day" / "a.xml").getroot()
    assert root.findtext("filename") == "a.png"
    assert [root.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["40", "20", "3"]
    first = root.find("object")
    assert first is not None
    assert first.findtext("name") == CLASSES[1]
    sides = ("xmin", "ymin", "xmax", "ymax")
    assert [first.findtext(f"bndbox/{side}") for side in sides] == ["2", "3.5", "11", "12.25"]
    assert ElementTree.parse(folder / "Annotations" / "x.zip_day_a.xml").findtext("filename") == "x.zip@day/a.jpg"
    assert "<score>0.925123</score>" in (write("voc", tmp_path / "b", FOUND) / "Annotations" / "a.xml").read_text()


def test_yolo(tmp_path: Path) -> None:
    folder = write("yolo", tmp_path / "yolo", DRAWN, EMPTY)
    assert (folder / "labels" / "day" / "a.txt").read_text() == "1 0.15 0.36875 0.25 0.4875\n0 0.5 0.5 1 1\n"
    assert (folder / "labels" / "b c.txt").read_text() == ""
    assert (folder / "data.yaml").read_text() == (
        'train: "images"\nval: "images"\nnc: 2\nnames:\n  0: "cat"\n  1: "a \\"black\\", <dog> & co"\n'
    )
    found = write("yolo", tmp_path / "found", FOUND) / "labels" / "a.txt"
    assert found.read_text() == "0 0.15 0.35 0.25 0.5 0.925123\n"


def test_cvat(tmp_path: Path) -> None:
    root = ElementTree.parse(write("cvat", tmp_path / "a.xml", DRAWN, RANKED)).getroot()
    assert root.findtext("version") == "1.1"
    assert [label.findtext("name") for label in root.iterfind("meta/task/labels/label")] == list(CLASSES)
    drawn, ranked = root.iterfind("image")
    assert drawn.attrib == {"id": "0", "name": "day/a.png", "width": "40", "height": "20"}
    box = {"label": CLASSES[1], "source": "manual", "occluded": "0", "z_order": "0"}
    assert drawn[0].attrib == box | {"xtl": "1", "ytl": "2.5", "xbr": "11", "ybr": "12.25"}
    assert ranked[0].attrib == {"label": CLASSES[1], "source": "auto"}
    assert ranked[0].findtext("attribute[@name='score']") == "0.75"


NEVER = ("", "\ud800", "cat")
STRIPPED = (" cat", "cat\n", "\ufeffcat", "\x00")
CONTROLS = ("a\tb", "a\nb", "\x1b[0m", "\uffff", "a\x85b")
REFUSED = {"coco": NEVER, "csv": (*NEVER, *STRIPPED)}


@pytest.mark.parametrize("format", [*WRITERS, *ONE_WAY])
def test_names_that_could_not_be_read_again(format: str, tmp_path: Path) -> None:
    for name in REFUSED.get(format, (*NEVER, *STRIPPED, *CONTROLS)):
        with pytest.raises(DataError, match=r"^(the class|two classes).*Rename"):
            write_annotations(format, [EMPTY], ("cat", name), tmp_path / "out")
        if name != "cat":
            with pytest.raises(DataError, match="Rename the file"):
                write_annotations(format, [AnnotatedImage(name, 4, 4)], CLASSES, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


WRONG = {
    "unknown class": (AnnotatedImage("a.png", 4, 4, (Box("owl", 0, 0, 1, 1),)), "shows 'owl', which is not one of"),
    "no number": (AnnotatedImage("a.png", 4, 4, (Box("cat", 0, 0, math.nan, 1),)), "no number of pixels"),
    "no size": (AnnotatedImage("a.png", 0, 4), "no number of pixels"),
}


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("name", WRONG)
def test_an_error_leaves_nothing_behind(format: str, name: str, tmp_path: Path) -> None:
    image, problem = WRONG[name]
    with pytest.raises(DataError, match=problem):
        write(format, tmp_path / "out", DRAWN, image)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", WRITERS)
def test_what_there_was_stays_until_the_end(format: str, tmp_path: Path) -> None:
    """A file is replaced as a whole, a folder with something in it is refused."""
    out = tmp_path / "out"
    if format in FOLDERS:
        out.mkdir()
        (out / "precious").touch()
        with pytest.raises(InvalidInput, match="is not empty"):
            write(format, out, DRAWN)
        (out / "precious").unlink()
        (tmp_path / "file").touch()
        with pytest.raises(InvalidInput, match="is a file"):
            write(format, tmp_path / "file", DRAWN)
    else:
        out.write_text("before")

        def images() -> Iterator[AnnotatedImage]:
            yield DRAWN
            assert out.read_text() == "before"

        write_annotations(format, images(), CLASSES, out)
    write(format, out, DRAWN)
    assert out.is_dir() == (format in FOLDERS)


@pytest.mark.parametrize("format", WRITERS)
def test_where_nothing_can_be_written(format: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"out cannot be written \(.*Choose another path"):
        write(format, tmp_path / "file" / "out", DRAWN)


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_formats_of_boxes_refuse_classes_of_images(format: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png has a class as a whole.*csv, text or cvat"):
        write(format, tmp_path / "out", LABELED)


@pytest.mark.parametrize("format", ["text", "csv"])
@pytest.mark.parametrize("images", [(DRAWN, LABELED), (LABELED, EMPTY, DRAWN)])
def test_boxes_and_classes_in_one_file(format: str, images: tuple[AnnotatedImage, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file holds either|has no class"):
        write(format, tmp_path / "out", *images)


def test_what_the_text_format_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no class, which the text format cannot say"):
        write("text", tmp_path / "a", EMPTY, LABELED)
    with pytest.raises(DataError, match="double quote"):
        write("text", tmp_path / "a", AnnotatedImage('a".png', 4, 4))


@pytest.mark.parametrize("format", FOLDERS)
def test_files_stay_in_their_folder_and_apart(format: str, tmp_path: Path) -> None:
    write(format, tmp_path / "out", AnnotatedImage("/etc/../../a.png", 4, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(DataError, match="as another image has"):
        write(format, tmp_path / "new", AnnotatedImage("../a.png", 4, 4), *[AnnotatedImage("a.png", 4, 4)] * 2)


@pytest.mark.parametrize("format", [*WRITERS, *ONE_WAY])
def test_any_name_of_an_image_gives_files_in_the_folder_or_is_refused(format: str, tmp_path: Path) -> None:
    for number, name in enumerate((*HOSTILE_NAMES, *HOSTILE_CELLS)):
        out = tmp_path / "all" / str(number)
        try:
            write(format, out, AnnotatedImage(f"{name}.png", 4, 4, (Box("cat", 0, 0, 2, 2),)))
        except DataError as error:
            assert str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["all"]
    assert all(path.name.isdigit() for path in (tmp_path / "all").iterdir())
