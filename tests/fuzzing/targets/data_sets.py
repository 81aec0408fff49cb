"""Files of data sets: every format, zip archives, images, lists of classes."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from mitorch_service.training.data.boxes.box_checks import log_boxes_outside_images
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.image_files import Limits
from mitorch_service.training.data.images.loading import read_image
from mitorch_service.training.data.zip_index import ZipFiles
from tests.fuzzing.data_sets import CVAT, SETS
from tests.fuzzing.target import Target

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "TGA", "DDS", "PCX", "SGI")
_LIMITS = Limits(1_000_000, 1 << 20)


def read_all(path: Path) -> None:
    """Reads a data set and looks at all that it holds."""
    images = read_image_list(path)
    for index in range(len(images)):
        images.target(index), images.stated_size(index)
    json.dumps(images.classes).encode()
    "".join(images.classes).encode()
    check_files(images)
    log_boxes_outside_images(images)


def _data_set(name: str) -> Callable[[bytes, Path], None]:
    files, changed = SETS[name]

    def parse(content: bytes, folder: Path) -> None:
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content if file == changed else text.encode())
        if not (folder / "a.png").exists():
            (folder / "a.png").write_bytes(_picture("PNG"))
        read_all(folder if name == "voc" else folder / next(iter(files)))

    return parse


def _zip(content: bytes, folder: Path) -> None:
    (folder / "x.zip").write_bytes(content)
    (folder / "t.txt").write_text("x.zip@a.png x.zip@é.txt\n", "utf-8")
    read_all(folder / "t.txt")


def _cvat_zip(content: bytes, folder: Path) -> None:
    (folder / "c.zip").write_bytes(content)
    read_all(folder / "c.zip")


def _image(content: bytes, folder: Path) -> None:
    (folder / "a.png").write_bytes(content)
    with warnings.catch_warnings():  # of Pillow, about what it makes of the damage
        warnings.simplefilter("ignore")
        read_image(ImageLocation(folder / "a.png"), ZipFiles(), limits=_LIMITS)


def _picture(format: str) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((9, 8), 50).convert("RGB").save(buffer, format, exif=exif)
    return buffer.getvalue()


def _archive(method: int, members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_MEMBERS = {"a.png": _picture("PNG"), "é.txt": b"0 1 2 3 4\n"}
_EXPORT = {"annotations.xml": CVAT.encode(), "images/a.png": _picture("PNG")}
TARGETS = (
    *(
        Target(f"data-{name.replace(' ', '-')}", _data_set(name), (files[changed].encode(),))
        for name, (files, changed) in SETS.items()
    ),
    Target(
        "data-zip", _zip, tuple(_archive(method, _MEMBERS) for method in _METHODS), (b"PK\1\2", b"PK\3\4", b"PK\5\6")
    ),
    Target("data-cvat-zip", _cvat_zip, tuple(_archive(method, _EXPORT) for method in _METHODS[:2])),
    Target("image", _image, tuple(map(_picture, _FORMATS))),
)
