"""The text format of simpledataset (github.com/shonohs/simpledataset): ``<image> <labels>`` on each line.

The image is a path relative to the text file, or ``archive.zip@entry``; one with spaces may stand in double quotes. The
labels tell the kind of data set: one class id (multiclass), ids with commas (multilabel), or a file of boxes, again a
path or an entry (detection), with a line ``class x_min y_min x_max y_max`` in pixels for each box and none for an image
that shows nothing. ``labels.txt`` beside the text file names the classes, one per line.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.box_list import BoxList
from mitorch_service.training.data.class_names import ClassList, read_class_list
from mitorch_service.training.data.formats.box_files import BoxFiles, FoundBoxes, read_box_files
from mitorch_service.training.data.formats.registry import read_other_format
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.parallel_readers import FILES_PER_CALL, Call, results
from mitorch_service.training.data.targets import ClassSetTargets, ClassTargets, Kind, Targets

_MOST_UNNAMED_CLASSES = 100_000  # a label beyond is a slip, and would make a network to match
_IDS = re.compile(r"\d+(,\d*)+")
_BOX_FILE = re.compile(r".*[@/\\].*|.*\.[A-Za-z]\w*")  # a path, or a name with an extension
_Entry = tuple[int, str, str]  # the number of a line, its image and its labels
_QUOTED = re.compile(
    r'(?:"(?P<quoted>[^"]+)"|(?P<image>[^"\s](?:.*\S)?))\s+(?:"(?P<labels_quoted>[^"]+)"|(?P<labels>[^"\s]+))'
)


def read_image_list(path: Path, name: str | None = None, classes: ClassList | None = None) -> ImageList:
    """The images that the data set at `path` names; they are not looked at (`check_files` does).

    Besides text files, all formats of `dataset_formats`. `name` is what messages call the file. `classes`: those of the
    training split, for the others; without them, `labels.txt` beside the file. Raises DataError with the line for
    anything that does not fit.
    """
    name = name or str(path)
    classes = read_class_list(path.parent / "labels.txt") or classes
    other = read_other_format(path, name, classes)
    return other if other is not None else _TextReader(path, name, classes).read()


class _TextReader:
    """Reads one text file. No list of lines is ever held."""

    def __init__(self, path: Path, name: str, classes: ClassList | None) -> None:
        self._path, self._name, self._classes = path, name, classes
        self._limit = len(classes.names) if classes is not None else _MOST_UNNAMED_CLASSES

    def read(self) -> ImageList:
        first = next(self._entries(), None)
        if first is None:
            raise DataError(f"{self._name}: names no image. Write a line '<image> <label id>' for each.")
        if _kind(first[2]) == "detection":
            return self._read_boxes()
        labels = array("i")
        sets: list[ClassSetTargets] = []  # one, as soon as an image has several labels
        images = PackedStrings(self._labelled(labels, sets))
        targets: Targets = sets[0] if sets else ClassTargets(labels)
        return ImageList(self._name, self._path.parent, images, targets, *self._names(targets))

    def _labelled(self, labels: array[int], sets: list[ClassSetTargets]) -> Iterator[str]:
        """Each line's image, what it shows added to `labels` or `sets` on the way."""
        for number, image, label in self._entries():
            if label.isdecimal() and int(label) < self._limit:
                ids = [int(label)]
            elif _IDS.fullmatch(label):
                ids = [self._id(one, number) for one in label.split(",") if one]
                if not sets:
                    sets.append(ClassSetTargets([one] for one in labels))
            else:
                raise self._wrong(number, self._label_problem(label))
            if sets:
                sets[0].append(ids)
            else:
                labels.append(ids[0])
            yield image

    def _id(self, text: str, line: int) -> int:
        if int(text) >= self._limit:
            raise self._wrong(line, self._label_problem(text))
        return int(text)

    def _read_boxes(self) -> ImageList:
        boxes = BoxList(self._name)
        parts: deque[list[_Entry]] = deque()
        for found in results(self._box_calls(parts)):
            part = parts.popleft()
            images = array("Q")
            for (_, image, _), count in zip(part, found.counts, strict=not found.problem):
                images.extend(repeat(boxes.new_image(image), count))
            boxes.extend(images, found.labels, found.corners, sound=found.sound)
            if found.problem:
                raise self._wrong(part[len(found.counts)][0], found.problem)
        names, named = self._made_up(max(boxes.labels, default=0))
        return boxes.finish(self._path.parent, names, named=named)

    def _box_calls(self, parts: deque[list[_Entry]]) -> Iterator[Call[FoundBoxes]]:
        """Calls that read the files of boxes, the entries of each appended to `parts`."""
        folder, entries = self._path.parent, self._entries()
        files = BoxFiles(folder, self._limit)
        while part := list(islice(entries, FILES_PER_CALL)):
            for number, _, label in part:
                if _kind(label) != "detection":
                    raise self._wrong(number, f"{label!r} is no file of boxes, which the lines before it have.")
            parts.append(part)
            names = [label for _, _, label in part]
            if any("@" in name for name in names):  # an archive, whose directory is read once: here
                yield Call(files.read, (names,), here=True)
            else:
                yield Call(read_box_files, (folder, self._limit, names))

    def _names(self, targets: Targets) -> tuple[tuple[str, ...], bool]:
        return self._made_up(max(targets.images_per_class(), default=0))

    def _made_up(self, last: int) -> tuple[tuple[str, ...], bool]:
        """The names of the classes, and whether anything names them."""
        if self._classes is not None:
            return self._classes.names, True
        return tuple(f"class_{label}" for label in range(last + 1)), False

    def _entries(self) -> Iterator[_Entry]:
        """The number of each line that is not blank (the first is 1), its image and its labels."""
        for number, line in self._lines():
            parts = line.rsplit(None, 1) if '"' not in line else _split_quoted(line)
            if len(parts) != 2:
                raise self._wrong(number, f"{line!r} is not '<image> <label id>'.")
            yield number, parts[0], parts[1]

    def _lines(self) -> Iterator[tuple[int, str]]:
        try:
            with self._path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, 1):
                    if stripped := line.strip():
                        yield number, stripped
        except OSError as error:
            raise DataError(f"{self._name}: cannot be read ({error.strerror}). Check the path.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{self._name}: is not a UTF-8 text file. Write it again in UTF-8.") from error

    def _wrong(self, line: int, problem: str) -> DataError:
        return DataError(f"{self._name}, line {line}: {problem}")

    def _label_problem(self, label: str) -> str:
        if label.isdecimal() and self._classes is not None:
            count = len(self._classes.names)
            return f"label {label} is beyond {self._classes.source}, which names {count} classes (0 to {count - 1})."
        if label.isdecimal():
            return f"label {label} is too large. Number the classes from 0, and name them in labels.txt."
        if label.removeprefix("-").isdecimal():
            return f"label {label} is negative. Number the classes from 0."
        if _kind(label) == "detection":
            return f"{label!r} is a file of boxes; the lines before it have class ids. Give all images the same kind."
        return f"label {label!r} is not a whole number. Write the class's line in labels.txt, counted from 0."


def _kind(labels: str) -> Kind | None:
    """The kind of data set that the labels of its first line make it."""
    if "/" in labels:  # most files of boxes
        return "detection"
    if labels.isdecimal():
        return "multiclass"
    if _IDS.fullmatch(labels):
        return "multilabel"
    return "detection" if _BOX_FILE.fullmatch(labels) else None


def _split_quoted(line: str) -> list[str]:
    match = _QUOTED.fullmatch(line)
    return [match["quoted"] or match["image"], match["labels_quoted"] or match["labels"]] if match else []
