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
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.image_files import Limits
from mitorch_service.training.data.images.loading import read_image
from mitorch_service.training.data.zip_index import ZipFiles
from tests.fuzzing.damage import DAMAGES, Damage, damaged
from tests.fuzzing.data_sets import COCO, SETS
from tests.fuzzing.targets import data_sets
from tests.unit.training.pictures import png

# The folder is written anew for each example; how long that takes depends on the machine.
ours = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def write(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def read_all(path: Path) -> None:
    """Reads all of a data set, or is told in words why it cannot be read."""
    try:
        data_sets.read_all(path)
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
