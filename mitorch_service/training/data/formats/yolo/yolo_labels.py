"""The label files of YOLO: one for each image, with fractions of its size."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import Corners
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.stored_images import StoredImage, read_stored_image
from mitorch_service.training.data.parallel_readers import FILES_PER_CALL, Call
from mitorch_service.training.data.regular_files import open_binary
from mitorch_service.training.data.zip_index import ZipFiles

SCORES, POINTS, POLYGONS = "scores", "points", "polygons"
_MOST_BYTES = 1 << 26  # of a file; a million boxes
_LARGEST = 2.0  # of a fraction: beyond it, the line is in pixels

Fractions = tuple[int, Corners]  # a class, and corners as fractions of the image


@dataclass
class Labels:
    """The boxes of one image, in pixels of the image as stored."""

    size: tuple[int, int] | None = None  # width and height in the file, if it was looked at
    boxes: list[tuple[int, Corners]] = field(default_factory=list)
    lost: int = 0  # boxes of an image that cannot be read: they have no size
    has_file: bool = True  # of labels
    kinds: Counter[str] = field(default_factory=Counter)  # lines with more than a box


@dataclass(frozen=True)
class LineForm:
    """The form of the lines."""

    classes: int  # how many ids there are
    keypoints: bool = False  # points follow the box


def label_file(image: str) -> str:
    """The path of an image's labels: beside it, or in ``labels`` where it is in ``images``."""
    before, images, after = f"/{image}".rpartition("/images/")
    place = f"{before}/labels/{after}"[1:] if images else image
    return f"{os.path.splitext(place)[0]}.txt"  # noqa: PTH122 - speed


def label_calls(folder: Path, form: LineForm, images: Iterable[str]) -> Iterator[Call[list[Labels]]]:
    """Calls that read the labels of images, whose names are relative to `folder`, in order."""
    rest = iter(images)
    while part := list(islice(rest, FILES_PER_CALL)):
        yield Call(_read_all, (folder, form, part))


def _read_all(folder: Path, form: LineForm, images: Sequence[str]) -> list[Labels]:
    archives = ZipFiles()
    return [_read(folder, form, image, archives) for image in images]


def _read(folder: Path, form: LineForm, image: str, archives: ZipFiles) -> Labels:
    path = folder / label_file(image)
    labels = Labels()
    content = _content(path)
    if content is None:
        labels.has_file = False
        return labels
    found = list(_lines(content, form, path, labels.kinds))
    if not found:
        return labels
    stored = read_stored_image(ImageLocation(folder / image), archives)
    if stored is None:
        labels.lost = len(found)
        return labels
    labels.size = stored.width, stored.height
    labels.boxes = [(class_id, _pixels(fractions, stored)) for class_id, fractions in found]
    return labels


def _content(path: Path) -> str | None:
    try:
        with open_binary(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DataError(f"{path}: has more than 64 MiB: no boxes of one image.")
        return content.decode().removeprefix("\ufeff")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error


def _lines(content: str, form: LineForm, path: Path, kinds: Counter[str]) -> Iterator[Fractions]:
    for number, line in enumerate(content.splitlines(), 1):
        if not (values := line.split()):
            continue
        try:
            class_id = int(values[0])
            corners, kind = _corners([float(one) for one in values[1:]], form)
        except ValueError:
            expected = "'<class id> x y width height' or '<class id> x1 y1 x2 y2 x3 y3 …'"
            raise DataError(f"{path}, line {number}: {excerpt(line)} is not {expected}.") from None
        if not 0 <= class_id < form.classes:
            raise DataError(f"{path}, line {number}: class {values[0][:20]} is not one of the {form.classes} (from 0).")
        if max(map(abs, corners)) > _LARGEST:
            raise DataError(f"{path}, line {number}: {excerpt(line)} is not in fractions of the image (0 to 1).")
        if kind:
            kinds[kind] += 1
        yield class_id, corners


def _corners(values: list[float], form: LineForm) -> tuple[Corners, str]:
    """The box, and the kind of line unless it is a plain one. Raises ValueError for another number of values."""
    count = len(values)
    if not all(map(math.isfinite, values)):
        raise ValueError("not finite")
    if count in {4, 5} or (form.keypoints and count > 5):
        x, y, width, height = values[:4]
        kind = "" if count == 4 else SCORES if count == 5 else POINTS
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), kind
    if count < 6 or count % 2:
        raise ValueError("no polygon")
    xs, ys = values[::2], values[1::2]
    return (min(xs), min(ys), max(xs), max(ys)), POLYGONS


def _pixels(fractions: Corners, image: StoredImage) -> Corners:
    """The fractions are of the image as it is to be seen."""
    width, height = image.upright_size
    x_min, y_min, x_max, y_max = fractions
    return image.stored((x_min * width, y_min * height, x_max * width, y_max * height))
