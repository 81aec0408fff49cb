from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.errors import DataError, InvalidInput
from mitorch_service.operations.datasets.dataset_export import DatasetExport, Handling
from mitorch_service.training.data.annotated_images import annotated_images
from mitorch_service.training.data.splits import read_splits
from tests.hostile_names import HOSTILE_NAMES
from tests.unit.training.pictures import png

# What is given to a reader of each format, below the folder of a split.
PATHS = {
    "cvat": "annotations.xml",
    "coco": "annotations.json",
    "voc": ".",
    "yolo": ".",
    "text": "images.txt",
    "csv": "annotations.csv",
}
BOXES = {"day/a": [("cat", 1, 2, 5, 6)], "day/b": [], "night/c": [("owl", 0, 0, 9, 8), ("cat", 2, 2, 4, 7)]}


def rotated(orientation: int = 6) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.new("RGB", (9, 8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def write_boxes(folder: Path) -> dict[str, Path]:
    """A set in the text format with its images in an archive and in a folder; one of them is turned by its EXIF."""
    (folder / "boxes").mkdir(parents=True)
    (folder / "labels.txt").write_text("owl\ncat\nnone\n")
    lines = []
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for number, (name, boxes) in enumerate(BOXES.items()):
            text = "".join(f"{['owl', 'cat'].index(label)} {' '.join(map(str, box))}\n" for label, *box in boxes)
            (folder / "boxes" / f"{number}.txt").write_text(text)
            if name == "day/b":
                (folder / "pictures" / "day").mkdir(parents=True)
                (folder / "pictures" / "day" / "b.jpg").write_bytes(png("red"))
                lines.append(f"pictures/day/b.jpg boxes/{number}.txt\n")
            else:
                archive.writestr(f"{name}.jpg", rotated() if name == "night/c" else png("red"))
                lines.append(f"images.zip@{name}.jpg boxes/{number}.txt\n")
    (folder / "train.txt").write_text("".join(lines))
    (folder / "val.txt").write_text(lines[-1])
    return {"train": folder / "train.txt", "val": folder / "val.txt"}


@pytest.mark.parametrize("handling", ["leave", "link", "copy"])
@pytest.mark.parametrize("format", PATHS)
def test_what_is_exported_is_read_again(format: str, handling: Handling, tmp_path: Path) -> None:
    before = read_splits(write_boxes(tmp_path / "set"))
    out = tmp_path / "out"
    paths = {split: tmp_path / "set" / f"{split}.txt" for split in ("train", "val")}
    done = DatasetExport(format, out, handling).write(paths, "birds")
    assert [(one.split, one.images, one.boxes, one.turned) for one in done] == [("train", 3, 3, 1), ("val", 1, 2, 1)]
    if handling == "leave" and format in {"cvat", "voc", "yolo"}:  # their readers look for images inside
        return
    after = read_splits({split: out / split / PATHS[format] for split in ("train", "val")})
    if format != "csv":  # which names no class that nothing shows
        assert after["train"].classes == before["train"].classes
    for split, images in after.items():
        pairs = zip(
            sorted((image for image, _ in annotated_images(images)), key=lambda image: Path(image.path).name),
            sorted((image for image, _ in annotated_images(before[split])), key=lambda image: Path(image.path).name),
            strict=True,
        )
        for found, image in pairs:
            assert (found.width, found.height) == (image.width, image.height)
            assert [box.class_name for box in found.boxes] == [box.class_name for box in image.boxes]
            for box, other in zip(found.boxes, image.boxes, strict=True):
                for side in ("left", "top", "right", "bottom"):
                    assert getattr(box, side) == pytest.approx(getattr(other, side), abs=0.01)


def test_where_the_images_are(tmp_path: Path) -> None:
    paths = write_boxes(tmp_path / "set")
    text = DatasetExport("text", tmp_path / "out").write(paths, "birds", ["val"])[0]
    assert text.path == tmp_path / "out" / "val"
    listed = (text.path / "images.txt").read_text()
    assert listed == "../../set/images.zip@night/c.jpg boxes/set/images.zip/night/c.jpg.txt\n"
    linked = DatasetExport("yolo", tmp_path / "linked").write(paths, "birds")
    assert (linked[0].path / "images" / "pictures" / "day" / "b.jpg").readlink() == (
        tmp_path / "set" / "pictures" / "day" / "b.jpg"
    )
    assert (linked[0].path / "images" / "images.zip" / "day" / "a.jpg").read_bytes() == png("red")
    assert (tmp_path / "linked" / "data.yaml").read_text().splitlines()[:2] == [
        'train: "train/images"',
        'val: "val/images"',
    ]
    cvat = DatasetExport("cvat", tmp_path / "cvat", "copy").write(paths, "birds")[0]
    assert 'name="day/a.jpg"' in cvat.path.read_text()  # as the task has it that was made of the archive
    assert (tmp_path / "cvat" / "train" / "images" / "day" / "a.jpg").is_file()


def test_a_path_is_written_into_the_folder_itself(tmp_path: Path) -> None:
    path = write_boxes(tmp_path / "set")["train"]
    done = DatasetExport("coco", tmp_path / "out").write_one(path)
    assert (done.path, done.images) == (tmp_path / "out" / "annotations.json", 3)


def write_classes(folder: Path, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("owl\ncat\n")
    for line in lines:
        (folder / line.split()[0]).write_bytes(png("red"))
    (folder / "train.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder / "train.txt"


@pytest.mark.parametrize("format", ["cvat", "text", "csv"])
def test_classes(format: str, tmp_path: Path) -> None:
    path = write_classes(tmp_path / "set", "a.png 1", "b.png 0")
    done = DatasetExport(format, tmp_path / "out", "copy").write_one(path)
    assert (done.images, done.labels) == (2, 2)
    found = read_splits({"train": tmp_path / "out" / PATHS[format]})["train"]
    assert [found.classes[label] for label in (found.target(0), found.target(1)) if isinstance(label, int)] == [
        "cat",
        "owl",
    ]


def test_what_a_format_has_no_place_for(tmp_path: Path) -> None:
    one = write_classes(tmp_path / "one", "a.png 1", "b.png 0")
    several = write_classes(tmp_path / "several", "a.png 0,1", "b.png 0")
    for format in ("coco", "voc", "yolo"):
        with pytest.raises(DataError, match="Choose csv, text or cvat"):
            DatasetExport(format, tmp_path / "out").write_one(one)
    with pytest.raises(DataError, match="Choose text or cvat"):
        DatasetExport("csv", tmp_path / "out").write_one(several)
    with pytest.raises(InvalidInput, match="--split: 'test' is not there; it has train"):
        DatasetExport("csv", tmp_path / "out").write({"train": one}, "birds", ["test"])
    (tmp_path / "one" / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.png cannot be read"):
        DatasetExport("csv", tmp_path / "out").write_one(one)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(InvalidInput, match="is not empty"):
        DatasetExport("text", tmp_path / "full").write_one(several)
    assert not (tmp_path / "out").exists()


def test_the_forms_of_the_label_apis_programs(tmp_path: Path) -> None:
    paths = write_boxes(tmp_path / "set")
    for format in ("yolov5", "tfrecord-csv", "box-lines"):
        DatasetExport(format, tmp_path / format, "copy").write(paths, "birds")
    yaml = (tmp_path / "yolov5" / "dataset.yaml").read_text()
    assert yaml == 'train: "train/images"\nval: "val/images"\nnc: 3\nnames: ["owl", "cat", "none"]\n'
    for split, count in (("train", 3), ("val", 1)):
        assert len(list((tmp_path / "yolov5" / split / "images").rglob("*.jpg"))) == count
    table = (tmp_path / "tfrecord-csv" / "train" / "labels.csv").read_text().splitlines()
    assert table[0] == "class,filename,height,width,xmax,xmin,ymax,ymin"
    assert table[1] == "cat,images.zip/day/a.jpg,8,9,5,1,6,2"
    assert table[2] == ",pictures/day/b.jpg,8,9,,,,"
    assert (
        (tmp_path / "tfrecord-csv" / "val" / "labelmap.pbtxt").read_text().startswith('item {\n  id: 1\n  name: "owl"')
    )
    lines = (tmp_path / "box-lines" / "train" / "images.txt").read_text().splitlines()
    assert lines[:2] == ["images/images.zip/day/a.jpg 1,2,5,6,1", "images/pictures/day/b.jpg"]
    for split in ("train", "val"):  # the same ids in both, which the originals draw for each
        assert (tmp_path / "box-lines" / split / "images_labels.txt").read_text() == "owl\ncat\nnone\n"


def test_an_entry_of_an_archive_is_placed_in_the_folder_or_refused(tmp_path: Path) -> None:
    """Beside an entry of another folder, one of an absolute name, or of one with .., was written to that place."""
    sets, out = tmp_path / "sets", tmp_path / "out"
    sets.mkdir()
    (sets / "labels.txt").write_text("owl\n")
    (sets / "b.txt").write_text("0 0 0 2 2\n")
    names = [name for name in HOSTILE_NAMES if not set(name) & set("\0\n ")]
    for number, name in enumerate([*names, str(sets / "placed" / "x")]):
        with zipfile.ZipFile(sets / "a.zip", "w") as archive:
            for entry in (f"{name}.png", "y.png"):
                archive.writestr(entry, png("red"))
        (sets / "a.txt").write_text(f"a.zip@{name}.png b.txt\na.zip@y.png b.txt\n")
        for format in ("coco", "cvat"):
            made = out / f"{format}{number}" / "made"
            try:
                DatasetExport(format, made, "copy").write_one(sets / "a.txt")
            except DataError as error:
                assert str(error)
            assert {path.name for path in made.parent.glob("*")} <= {"made"}, name
            assert {path.name for path in made.glob("*")} <= {"images", "annotations.json", "annotations.xml"}, name
    assert {path.name for path in sets.iterdir()} == {"labels.txt", "a.txt", "b.txt", "a.zip"}
    assert {path.name for path in tmp_path.iterdir()} == {"sets", "out"}
