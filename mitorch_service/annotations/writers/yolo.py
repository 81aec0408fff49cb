"""YOLO as Ultralytics has it: ``data.yaml``, a file for each image in ``labels/``, images belong into ``images/``.

A line has the class and the box's centre, width and height as fractions of the image; the score of a prediction is a
sixth column, as Ultralytics saves its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.annotations.writers.boxes_only import refuse_labels
from mitorch_service.annotations.writers.new_output import new_folder
from mitorch_service.annotations.writers.numbers import decimal
from mitorch_service.annotations.writers.places import Places, place_within, without_extension

IMAGES = "images"
_PLACES = 9  # of a fraction: a thousandth of a pixel of the widest image


def write_yolo(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes a folder. Raises DataError for two images that differ in their extensions only."""
    with new_folder(out) as folder:
        write_labels(images, classes, folder)
        (folder / "data.yaml").write_text(data_yaml({"train": IMAGES, "val": IMAGES}, classes), encoding="utf-8")


def write_labels(images: Iterator[AnnotatedImage], classes: Sequence[str], folder: Path) -> None:
    """Writes ``labels/`` with a file for each image."""
    ids = {name: number for number, name in enumerate(classes)}
    (folder / "labels").mkdir()
    places = Places(folder / "labels")
    for image in images:
        refuse_labels(image, "YOLO")
        place = place_within(image.path)
        places.write(f"{without_extension(place)}.txt", image, "".join(_line(box, image, ids) for box in image.boxes))


def data_yaml(splits: dict[str, str], classes: Sequence[str]) -> str:
    """The file that names the folders of images, relative to it, and the classes."""
    lines = [f"{split}: {quoted(folder)}" for split, folder in splits.items()]
    names = [f"  {number}: {quoted(name)}" for number, name in enumerate(classes)]
    return "\n".join([*lines, f"nc: {len(classes)}", "names:" if names else "names: []", *names]) + "\n"


def _line(box: Box, image: AnnotatedImage, ids: dict[str, int]) -> str:
    x, y = (box.left + box.right) / 2 / image.width, (box.top + box.bottom) / 2 / image.height
    width, height = (box.right - box.left) / image.width, (box.bottom - box.top) / image.height
    sides = " ".join(decimal(one, _PLACES) for one in (x, y, width, height))
    return f"{ids[box.class_name]} {sides}{'' if box.score is None else f' {decimal(box.score, 6)}'}\n"


def quoted(value: str) -> str:
    """Returns a string in YAML's double quotes, which are those of JSON but for invisible characters."""
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)
