"""The text format of simpledataset (github.com/shonohs/simpledataset): ``<image> <labels>`` on each line.

The image is a path relative to the text file, or ``archive.zip@entry``. The labels tell the kind of data set:
one class id (multiclass), ids with commas (multilabel), or a file of boxes (detection). ``labels.txt`` beside
the text file names the classes, one per line.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.image_list import ImageList, PackedStrings

_MOST_UNNAMED_CLASSES = 100_000  # a label beyond is a slip, and would make a network to match
_MULTILABEL = re.compile(r"\d+(,\d*)+")
_BOX_FILE = re.compile(r".*[@/\\].*|.*\.[A-Za-z]\w*")  # a path, or a name with an extension


def read_image_list(path: Path, name: str | None = None) -> ImageList:
    """The images that the text file at `path` names; they are not looked at (`check_files` does).

    `name` is what messages call the file. Raises DataError with the line for anything that does not fit.
    """
    name = name or str(path)
    classes = _read_classes(path.parent / "labels.txt")
    labels = array("i")
    images = PackedStrings(_images(path, name, classes, labels))
    if not labels:
        raise DataError(f"{name}: names no image. Write a line '<image> <label id>' for each.")
    named = classes is not None
    if classes is None:
        classes = tuple(f"class_{label}" for label in range(max(labels) + 1))
    return ImageList(name, path.parent, images, labels, classes, named)


def _images(path: Path, name: str, classes: tuple[str, ...] | None, labels: array[int]) -> Iterator[str]:
    """Each line's image, its label added to `labels` on the way: no list of lines is ever held."""
    limit = len(classes) if classes is not None else _MOST_UNNAMED_CLASSES
    for number, line in _lines(path, name):
        try:
            image, label = line.rsplit(None, 1)
        except ValueError:
            raise DataError(f"{name}, line {number}: {line!r} is not '<image> <label id>'.") from None
        if not label.isdecimal() or int(label) >= limit:
            raise DataError(f"{name}, line {number}: {_label_problem(label, classes)}")
        labels.append(int(label))
        yield image


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers, the first being 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if stripped := line.strip():
                    yield number, stripped
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is not a UTF-8 text file. Write it again in UTF-8.") from error


def _label_problem(label: str, classes: tuple[str, ...] | None) -> str:
    only = "This version trains multiclass sets: one label id per line."
    if label.isdecimal() and classes is not None:
        last = len(classes) - 1
        return f"label {label} is beyond labels.txt, which names {len(classes)} classes (0 to {last})."
    if label.isdecimal():
        return f"label {label} is too large. Number the classes from 0, and name them in labels.txt."
    if label.removeprefix("-").isdecimal():
        return f"label {label} is negative. Number the classes from 0."
    if _MULTILABEL.fullmatch(label):
        return f"several labels ({label!r}) make this a multilabel set. {only}"
    if _BOX_FILE.fullmatch(label):
        return f"a file of boxes ({label!r}) makes this a detection set. {only}"
    return f"label {label!r} is not a whole number. Write the class's line in labels.txt, counted from 0."


def _read_classes(path: Path) -> tuple[str, ...] | None:
    """The names in ``labels.txt``, or None when there is none."""
    if not path.exists():
        return None
    try:
        names = path.read_text(encoding="utf-8-sig").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    if names == [""]:
        raise DataError(f"{path}: is empty. Name one class per line, or remove the file.")
    for number, class_name in enumerate(names, 1):
        if not class_name.strip():
            raise DataError(f"{path}, line {number}: is empty. Each line names one class, in the order of the ids.")
    return tuple(class_name.strip() for class_name in names)
