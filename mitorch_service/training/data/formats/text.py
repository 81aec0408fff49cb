"""The text format of simpledataset (github.com/shonohs/simpledataset): ``<image> <labels>`` on each line.

The image is a path relative to the text file, or ``archive.zip@entry``; double quotes allow spaces. The labels decide
the kind of data set: one class id (multiclass), ids with commas (multilabel), or a box file, again a path or an entry
(detection), with a line ``class x_min y_min x_max y_max`` in pixels for each box; an empty one shows nothing.
``labels.txt`` beside the text file names the classes, one per line.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, repeat
from pathlib import Path
from typing import cast

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_collector import BoxCollector
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.formats.box_files import box_file_calls
from mitorch_service.training.data.formats.entries import Entry
from mitorch_service.training.data.formats.image_folders import has_image_suffix
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.parallel_readers import results
from mitorch_service.training.data.regular_files import open_text
from mitorch_service.training.data.targets import ClassSetTargets, ClassTargets, Kind
from mitorch_service.wording.counted import counted

_MOST_UNNAMED_CLASSES = 100_000  # a larger label is a mistake, and would make a network to match
_MOST_DIGITS = 18
_LABELS_KEPT = 10_000  # whose ids need not be parsed again
_IDS = re.compile(r"\d+(,\d*)+")
_BOX_FILE = re.compile(r".*[@/\\].*|.*\.[A-Za-z]\w*")  # a path, or a name with an extension
_QUOTED = re.compile(
    r'(?:"(?P<quoted>[^"]+)"|(?P<image>[^"\s](?:.*\S)?))\s+(?:"(?P<labels_quoted>[^"]+)"|(?P<labels>[^"\s]+))'
)


def read_text(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """Reads a set of the kind that the first line has, without ever holding a list of lines. Without `classes`, names
    are made up. Raises DataError with the line for whatever does not fit."""
    file = _TextFile(path, name, classes)
    entries = file.entries()
    first = next(entries, None)
    if first is None:
        raise DataError(f"{name}: names no image. Write a line '<image> <label id>' for each.")
    entries = chain([first], entries)
    return _read_boxes(file, entries) if _kind(first.label) == "detection" else _read_classes(file, entries)


def image_names(path: Path) -> Iterator[str]:
    """Yields the image of each line, which needs no labels here. Raises DataError for a file that cannot be read, or
    names no image."""
    found = False
    for line in _TextFile(path, str(path), None).lines():
        found = True
        yield _image_of(line[1])
    if not found:
        raise DataError(f"{path}: names no image. Write a line '<image>' for each.")


@dataclass(frozen=True)
class _TextFile:
    path: Path
    name: str
    classes: ClassList | None

    def entries(self) -> Iterator[Entry]:
        """An entry for each line that is not blank, its place the number of the line (the first is 1)."""
        for number, line in self.lines():
            columns = _columns(line)
            if len(columns) != 2:
                raise self.error(number, f"{excerpt(line)} is not '<image> <label id>'.")
            yield Entry(number, columns[0], columns[1])

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yields each line that is not blank, with its number."""
        try:
            with open_text(self.path) as file:
                for number, line in enumerate(map(str.strip, file), 1):
                    if line:
                        yield number, line
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read ({error.strerror}). Check the path.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name}: is not a UTF-8 text file. Write it again in UTF-8.") from error

    def class_names(self, last_id: int) -> tuple[str, ...]:
        """The names given, or else made up for the ids up to the last."""
        if self.classes is not None:
            return self.classes.names
        return tuple(f"class_{label}" for label in range(last_id + 1))

    def error(self, line: int | str | None, problem: str) -> DataError:
        return DataError(f"{self.name}, line {line}: {problem}")


def _columns(line: str) -> list[str]:
    return line.rsplit(None, 1) if '"' not in line else _split_quoted(line)


def _image_of(line: str) -> str:
    """The image of a line with or without labels: what has the extension of an image is no label."""
    if line.startswith('"') and line.endswith('"') and line.count('"') == 2:
        return line[1:-1]
    columns = _columns(line)
    return columns[0] if len(columns) == 2 and not has_image_suffix(columns[1]) else line


def _split_quoted(line: str) -> list[str]:
    match = _QUOTED.fullmatch(line)
    return [match["quoted"] or match["image"], match["labels_quoted"] or match["labels"]] if match else []


def _kind(labels: str) -> Kind | None:
    """The kind of data set that has such labels."""
    if "/" in labels:  # most box files
        return "detection"
    if labels.isdecimal():
        return "multiclass"
    if _IDS.fullmatch(labels):
        return "multilabel"
    return "detection" if _BOX_FILE.fullmatch(labels) else None


def _read_classes(file: _TextFile, entries: Iterable[Entry]) -> ImageList:
    """Reads a multiclass set; from the first line with several ids on, it is a multilabel one."""
    images = PackedStrings()
    targets: ClassTargets | ClassSetTargets = ClassTargets()
    class_ids = lru_cache(_LABELS_KEPT)(partial(_class_ids, file.classes))  # most labels occur many times
    for entry in entries:
        images.append(entry.image)
        try:
            ids = class_ids(entry.label)
        except ValueError as error:
            raise file.error(entry.place, str(error)) from None
        if isinstance(targets, ClassTargets) and "," in entry.label:
            targets = targets.as_sets()
        targets.append(ids)
    names = file.class_names(max(targets.images_per_class(), default=0))
    return ImageList(file.name, file.path.parent, images, targets, names, classes_named=file.classes is not None)


def _class_ids(classes: ClassList | None, label: str) -> tuple[int, ...]:
    """Parses one id or several with commas. Raises ValueError with the problem."""
    ids: tuple[int, ...]
    if label.isdecimal():
        ids = (_number(label),)
    elif _IDS.fullmatch(label):
        ids = tuple(_number(one) for one in label.split(",") if one)
    else:
        raise ValueError(_label_problem(label))
    if max(ids) >= _class_limit(classes):
        raise ValueError(_too_large(max(ids), classes))
    return ids


def _number(digits: str) -> int:
    """The number, or one beyond all limits for digits that Python would not convert."""
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _class_limit(classes: ClassList | None) -> int:
    """The number of ids allowed."""
    return len(classes.names) if classes is not None else _MOST_UNNAMED_CLASSES


def _label_problem(label: str) -> str:
    if label.removeprefix("-").isdecimal():
        return f"label {label[:20]} is negative. Number the classes from 0."
    if _kind(label) == "detection":
        return f"{excerpt(label)} is a box file; the lines before it have class ids. Give all images the same kind."
    return f"label {excerpt(label)} is not a whole number. Write the class's line in labels.txt, counted from 0."


def _too_large(label: int, classes: ClassList | None) -> str:
    if label >= 10**_MOST_DIGITS:
        return f"a label has more than {_MOST_DIGITS} digits. Number the classes from 0."
    if classes is None:
        return f"label {label} is too large. Number the classes from 0, and name them in labels.txt."
    count = len(classes.names)
    named = counted(count, "class", "classes")
    return f"label {label} is beyond {classes.source}, which names {named} (0 to {count - 1})."


def _read_boxes(file: _TextFile, entries: Iterable[Entry]) -> ImageList:
    """Reads the lines, then the box files, many at a time in other processes."""
    boxes = BoxCollector(file.name)
    box_files, lines = PackedStrings(), array("Q")
    for entry in entries:
        if _kind(entry.label) != "detection":
            raise file.error(entry.place, f"{excerpt(entry.label)} is not a box file, which the lines before it have.")
        boxes.new_image(entry.image)
        box_files.append(entry.label)
        lines.append(cast("int", entry.place))
    read = 0  # box files, each of the image with the same number
    for found in results(box_file_calls(file.path.parent, _class_limit(file.classes), box_files)):
        owners = array("Q")
        for image, count in enumerate(found.counts, start=read):
            owners.extend(repeat(image, count))
        boxes.extend(owners, found.labels, found.corners, valid=found.valid)
        read += len(found.counts)
        if found.problem:
            raise file.error(lines[read], found.problem)
    names = file.class_names(max(boxes.labels, default=0))
    return boxes.finish(file.path.parent, names, classes_named=file.classes is not None)
