"""Refuses what a format could not give back as it was."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.errors import DataError

_UNSAFE = ("Cc", "Cs")  # control characters and halves of surrogate pairs: not in XML, nor on one line
_NO_CHARACTERS = "\ufffe\uffff"
_ESCAPING = ("coco",)  # its strings may hold every character
_QUOTING = ("csv",)  # its cells may hold line breaks; readers strip them, and few read a NUL


def check_classes(classes: Sequence[str], format: str) -> None:
    """Raises DataError for names that are twice there, or that a reader of the format would get otherwise."""
    for name in classes:
        if problem := _flaw(name, format):
            raise DataError(f"the class {name!r} {problem}. Rename it.")
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise DataError(f"two classes have the name {twice!r}. Rename one.")


def checked(images: Iterable[AnnotatedImage], classes: Sequence[str], format: str) -> Iterator[AnnotatedImage]:
    """Yields the images. Raises DataError at the first with a class that is not in `classes`, with a path that the
    format cannot hold, or with numbers that are no positions."""
    known = set(classes)
    for image in images:
        problem = "no file can have" if "\0" in image.path else _flaw(image.path, format)
        if problem:
            raise DataError(f"the image {image.path!r} has a name that {problem}. Rename the file.")
        for name in chain((box.class_name for box in image.boxes), (label.class_name for label in image.labels)):
            if name not in known:
                raise DataError(f"the image {image.path} shows {name!r}, which is not one of the classes.")
        if image.width <= 0 or image.height <= 0 or not all(map(_is_box, image.boxes)):
            raise DataError(f"the image {image.path} has a box or a size that is no number of pixels.")
        yield image


def _flaw(name: str, format: str) -> str | None:
    if not name:
        return "is empty"
    if not name.isprintable() and any(unicodedata.category(one) == "Cs" for one in name):
        return "has no valid Unicode"
    if format in _ESCAPING:
        return None
    if name != name.strip() or name.startswith("\ufeff"):
        return f"begins or ends with white space, which readers of {format} remove"
    if format in _QUOTING:
        return f"has a NUL, which few readers of {format} take" if "\0" in name else None
    if not name.isprintable() and any(unicodedata.category(one) in _UNSAFE or one in _NO_CHARACTERS for one in name):
        return f"has control characters, which {format} cannot hold"
    return None


def _is_box(box: Box) -> bool:
    return all(map(math.isfinite, (box.left, box.top, box.right, box.bottom)))
