"""Refuses what no format could give back as it was."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.errors import DataError

_UNSAFE = ("Cc", "Cs")  # control characters and halves of surrogate pairs: not in XML, nor on one line
_NO_CHARACTERS = "\ufffe\uffff"


def check_classes(classes: Sequence[str]) -> None:
    """Raises DataError for names that are twice there, or that a reader would get otherwise."""
    for name in classes:
        if problem := _flaw(name):
            raise DataError(f"the class {name!r} {problem}. Rename it.")
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise DataError(f"two classes have the name {twice!r}. Rename one.")


def checked(images: Iterable[AnnotatedImage], classes: Sequence[str]) -> Iterator[AnnotatedImage]:
    """Yields the images. Raises DataError at the first with a class that is not in `classes`, with a path that no file
    of text can hold, or with numbers that are no positions."""
    known = set(classes)
    for image in images:
        if problem := _flaw(image.path):
            raise DataError(f"the image {image.path!r} has a name that {problem}. Rename the file.")
        for name in chain((box.class_name for box in image.boxes), (label.class_name for label in image.labels)):
            if name not in known:
                raise DataError(f"the image {image.path} shows {name!r}, which is not one of the classes.")
        if image.width <= 0 or image.height <= 0 or not all(map(_is_box, image.boxes)):
            raise DataError(f"the image {image.path} has a box or a size that is no number of pixels.")
        yield image


def _flaw(name: str) -> str | None:
    if not name:
        return "is empty"
    if name != name.strip() or name.startswith("\ufeff"):
        return "begins or ends with white space, which readers remove"
    if not name.isprintable() and any(unicodedata.category(one) in _UNSAFE or one in _NO_CHARACTERS for one in name):
        return "has control characters or no valid Unicode"
    return None


def _is_box(box: Box) -> bool:
    return all(map(math.isfinite, (box.left, box.top, box.right, box.bottom)))
