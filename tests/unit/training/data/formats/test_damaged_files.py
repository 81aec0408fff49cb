"""Any damage to any file of a data set is a DataError or is read; the same for archives and images."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mitorch_service.errors import DataError
from mitorch_service.training.data.box_checks import log_boxes_outside_images
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.image_files import Limits
from mitorch_service.training.data.images.loading import read_image
from mitorch_service.training.data.zip_index import ZipFiles
from tests.unit.training.pictures import png

BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>"
XML = f"<annotation><filename>a.png</filename><object><name>c</name>{BOX}</object></annotation>"
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 8}, {"id": "2", "file_name": "b.png"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0.5, 2, 2], "iscrowd": 0}],
    "categories": [{"id": 5, "name": "cat"}],
}
TABLE = """image_url,label\na.png,"[{'type': 'cat', 'bottomX': 1, 'topX': 2, 'bottomY': 1, 'topY': 3}]"\n"""
CVAT = """<annotations><meta><task><labels><label><name>c</name></label></labels></task></meta>
<image id="0" name="a.png" width="9" height="8"><box label="c" xtl="1" ytl="2" xbr="3" ybr="4"/>
<polygon label="c" points="1,2;3,4;5,1"/><tag label="c"/></image></annotations>"""
TRACK = """<annotations><meta><task><start_frame>0</start_frame><stop_frame>3</stop_frame></task></meta>
<track label="c">
<box frame="0" outside="0" xtl="1" ytl="2" xbr="3" ybr="4"/><box frame="2" outside="1"/></track></annotations>"""
YOLO = {"data.yaml": "train: .\nnames: {0: cat, 1: owl}\n", "a.txt": "0 0.5 0.5 0.25 0.25\n1 0 0 1 0 1 1\n"}

# By name: the files of a whole data set, the first of which is read, and the one that is damaged.
SETS: dict[str, tuple[dict[str, str], str]] = {
    "multiclass": ({"t.txt": "a.png 0\nx.zip@b.png 1\n"}, "t.txt"),
    "multilabel": ({"t.txt": 'a.png 0,1\n"x y.png" 2,\n', "labels.txt": "cat\ndog\nowl\n"}, "t.txt"),
    "labels.txt": ({"t.txt": "a.png 0\nb.png 1\n", "labels.txt": "cat\nblack dog\n"}, "labels.txt"),
    "detection": ({"t.txt": "a.png a.txt\nb.png x.zip@c.txt\n", "a.txt": "0 1 2 3.5 4\n"}, "t.txt"),
    "box file": ({"t.txt": "a.png a.txt\n", "a.txt": "0 1 2 3.5 4\n1 5 6 7 8\n"}, "a.txt"),
    "vott": ({"t.csv": "image,x1,y1,x2,y2,class\na.png,1,2,3,4,cat\nb.png,,,,,\n"}, "t.csv"),
    "seed": ({"t.csv": "filename,class,xmin,ymin,xmax,ymax\na.png,cat,1,2,3,4\nb.png,,0,0,0,0\n"}, "t.csv"),
    "label csv": ({"t.csv": "filename,label\na.png,cat\nb.png,dog\n"}, "t.csv"),
    "table": ({"t.csv": TABLE}, "t.csv"),
    "coco": ({"t.json": json.dumps(COCO)}, "t.json"),
    "voc": ({"Annotations/a.xml": XML}, "Annotations/a.xml"),
    "voc list": ({"ImageSets/Main/t.txt": "a 1\nb -1\n", "Annotations/a.xml": XML}, "ImageSets/Main/t.txt"),
    "cvat": ({"t.xml": CVAT}, "t.xml"),
    "cvat tracks": ({"t.xml": TRACK}, "t.xml"),
    "yolo": (YOLO, "a.txt"),
    "data.yaml": (YOLO, "data.yaml"),
}

TOKENS = (
    *("\0", "9" * 400, "-" + "9" * 5000, "1e999", "nan", "-0", "²", "٣", "\x1b]0;x\a", "é" * 200, "n" * 300, "\ufeff"),
    *("/dev/zero", "../", "@", ".zip@", '"', "'", ",", "\n", "\r", "\t", " ", "[", "{", "}", "]", "(" * 300, "null"),
    *("true", "<", "&#0;", "<?xml version='1.0' encoding='utf-7'?>", "\\ud800", '"\\ud800"', "1e400", "-1", "0", ":"),
)
BYTES = st.one_of(st.sampled_from([token.encode() for token in TOKENS]), st.binary(min_size=1, max_size=3))
Damage = tuple[float, float, bytes]  # the beginning and length of what is replaced, as shares of the file; by what
DAMAGES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.0, 0.02, 0.1, 1.0]), BYTES), max_size=3)
# The folder is written anew for each example; how long that takes depends on the machine.
ours = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def damaged(content: bytes, damages: list[Damage]) -> bytes:
    for place, length, replacement in damages:
        start = int(place * len(content))
        content = content[:start] + replacement + content[start + int(length * len(content)) :]
    return content


def write(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def read_all(path: Path) -> None:
    """Reads a data set and looks at all that it holds."""
    try:
        images = read_image_list(path)
        for index in range(len(images)):
            images.target(index), images.stated_size(index)
        json.dumps(images.classes).encode()
        "".join(images.classes).encode()
        check_files(images)
        log_boxes_outside_images(images)
    except DataError as error:
        assert str(error)


@pytest.mark.parametrize("name", SETS)
@given(damages=DAMAGES)
@ours
def test_files(name: str, damages: list[Damage], tmp_path: Path) -> None:
    files, changed = SETS[name]
    for file, text in files.items():
        write(tmp_path, file, damaged(text.encode(), damages) if file == changed else text.encode())
    write(tmp_path, "a.png", png("red"))
    read_all(tmp_path / next(iter(files)) if name != "voc" else tmp_path)


SIMPLE = (st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.sampled_from([10**400, 1, "1"]))
KEYS = st.sampled_from(["id", "file_name", "width", "bbox", "category_id", "name"])
JSON = st.recursive(
    st.one_of(*SIMPLE), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner), max_leaves=4
)


@given(part=st.sampled_from(sorted(COCO)), key=KEYS | st.just(""), value=JSON)
@example(part="images", key="width", value=10**400)
@ours
def test_coco_of_other_types(part: str, key: str, value: object, tmp_path: Path) -> None:
    document = json.loads(json.dumps(COCO))
    if key:
        document[part][0][key] = value
    else:
        document[part] = value
    read_all(write(tmp_path, "t.json", json.dumps(document).encode()))


@given(
    name=st.binary(min_size=1, max_size=260).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))
)
@ours
def test_names_of_folders(name: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "set" / os.fsdecode(name)
    try:
        folder.mkdir(parents=True)
    except OSError:  # too long
        return
    write(folder, "a.png", png("red"))
    read_all(tmp_path / "set")
    shutil.rmtree(tmp_path / "set")


def archive(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("a.png", png("red"))
        file.writestr("é.txt", "0 1 2 3 4\n")
    return buffer.getvalue()


ARCHIVES = {name: archive(getattr(zipfile, name)) for name in ("ZIP_STORED", "ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA")}


@given(name=st.sampled_from(sorted(ARCHIVES)), damages=DAMAGES)
@ours
def test_archives(name: str, damages: list[Damage], tmp_path: Path) -> None:
    write(tmp_path, "x.zip", damaged(ARCHIVES[name], damages))
    read_all(write(tmp_path, "t.txt", "x.zip@a.png x.zip@é.txt\n".encode()))


def picture(format: str) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((9, 8), 50).convert("RGB").save(buffer, format, exif=exif)
    return buffer.getvalue()


FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "TGA", "DDS")
PICTURES = {name: picture(name) for name in FORMATS}


@pytest.mark.filterwarnings("ignore")  # of Pillow, about what it makes of the damage
@given(name=st.sampled_from(FORMATS), damages=DAMAGES)
@settings(ours, max_examples=200)
def test_images(name: str, damages: list[Damage], tmp_path: Path) -> None:
    file = write(tmp_path, "a.png", damaged(PICTURES[name], damages))
    try:
        read_image(ImageLocation(file), ZipFiles(), limits=Limits(1_000_000, 1 << 20))
    except DataError as error:
        assert "a.png" in str(error)
