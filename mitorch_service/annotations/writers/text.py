"""The text format of simpledataset: ``images.txt``, ``labels.txt``, and for boxes a file for each image.

It has no place for scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.text_lines import class_list_text
from mitorch_service.annotations.writers.content_kind import content_kind
from mitorch_service.annotations.writers.new_output import new_folder
from mitorch_service.annotations.writers.numbers import decimal
from mitorch_service.annotations.writers.places import Places, place_within
from mitorch_service.errors import DataError

LIST = "images.txt"


def write_text(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes a folder. Raises DataError for an image with a double quote in its name, and in a set of classes for one
    without any."""
    ids = {name: number for number, name in enumerate(classes)}
    kind, images = content_kind(images, "text")
    with new_folder(out) as folder, (folder / LIST).open("x", encoding="utf-8", newline="\n") as file:
        (folder / "labels.txt").write_text(class_list_text(classes), encoding="utf-8", newline="\n")
        places = Places(folder)
        for image in images:
            if kind.labels:
                target = _class_ids(image, ids)
            else:
                target = f"boxes/{place_within(image.path)}.txt"
                places.write(target, image, _boxes(image, ids))
            file.write(f"{_quoted(image.path)} {_quoted(target)}\n")


def _class_ids(image: AnnotatedImage, ids: dict[str, int]) -> str:
    if not image.labels:
        raise DataError(f"the image {image.path} has no class, which the text format cannot say. Write it as cvat.")
    return ",".join(str(ids[label.class_name]) for label in image.labels)


def _boxes(image: AnnotatedImage, ids: dict[str, int]) -> str:
    corners = ((box, map(decimal, (box.left, box.top, box.right, box.bottom))) for box in image.boxes)
    return "".join(f"{ids[box.class_name]} {' '.join(four)}\n" for box, four in corners)


def _quoted(name: str) -> str:
    if '"' in name:
        raise DataError(f"the image {name} has a double quote in its name, which the text format cannot hold.")
    return f'"{name}"' if any(map(str.isspace, name)) else name
