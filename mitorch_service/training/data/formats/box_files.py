"""The files of boxes of the text format: one per image, plain or in zip archives."""

from __future__ import annotations

import os
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.box_list import Corners, is_sound
from mitorch_service.training.data.image_list import ImageLocation, split_entry
from mitorch_service.training.data.zip_files import ZipFiles

_BLOCK = 1 << 14  # bytes; few files are larger


@dataclass
class FoundBoxes:
    """Of several files, one after the other; compact, as it comes from another process."""

    counts: array[int] = field(default_factory=lambda: array("L"))  # of boxes in each file
    labels: array[int] = field(default_factory=lambda: array("q"))  # of each box
    corners: array[float] = field(default_factory=lambda: array("f"))  # four of each box
    sound: bool = True  # each of the boxes, as far as can be told without the size of its image
    problem: str = ""  # what is wrong with the file after those counted; names it


def read_box_files(folder: Path, classes: int, names: Sequence[str]) -> FoundBoxes:
    """As `BoxFiles.read`, for a call in another process."""
    return BoxFiles(folder, classes).read(names)


class BoxFiles:
    """Keeps the archives open."""

    def __init__(self, folder: Path, classes: int) -> None:
        """`folder`: what the files' paths are relative to. `classes`: how many ids are allowed."""
        self._folder, self._classes = os.fspath(folder), classes
        self._archives = ZipFiles()

    def read(self, names: Iterable[str]) -> FoundBoxes:
        """The boxes in the files of these names, up to the first that cannot be read."""
        found = FoundBoxes()
        try:
            for name in names:
                before = len(found.labels)
                for label, corners in self._boxes(name):
                    found.labels.append(label)
                    found.corners.extend(corners)
                    found.sound = found.sound and is_sound(corners)
                found.counts.append(len(found.labels) - before)
        except DataError as error:
            found.problem = str(error)
        return found

    def _boxes(self, text: str) -> Iterator[tuple[int, Corners]]:
        for number, line in enumerate(self._content(text).splitlines(), 1):
            if not (values := line.split()):
                continue
            try:
                label, x_min, y_min, x_max, y_max = values
                class_id = int(label)
                corners = float(x_min), float(y_min), float(x_max), float(y_max)
            except ValueError:
                problem = f"{' '.join(values)!r} is not '<class id> x_min y_min x_max y_max'."
                raise DataError(f"{text}, line {number}: {problem}") from None
            if not 0 <= class_id < self._classes:
                problem = f"class {label} is not one of the {self._classes} classes (from 0)."
                raise DataError(f"{text}, line {number}: {problem}")
            yield class_id, corners

    def _content(self, text: str) -> str:
        name, entry = split_entry(text)
        path = name if name.startswith("/") else f"{self._folder}/{name}"  # a Path for each of a million costs seconds
        try:
            content = _read(path) if entry is None else self._archives.read(path, entry)
            return content.decode().removeprefix("\ufeff")
        except (FileNotFoundError, KeyError):
            raise DataError(f"the file of boxes {ImageLocation(Path(path), entry)} is missing.") from None
        except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
            raise DataError(
                f"the file of boxes {ImageLocation(Path(path), entry)} cannot be read ({error})."
            ) from error


def _read(path: str) -> bytes:
    """The whole file, with fewer calls than a buffered one makes."""
    file = os.open(path, os.O_RDONLY)
    try:
        content = block = os.read(file, _BLOCK)
        while len(block) == _BLOCK:
            block = os.read(file, _BLOCK)
            content += block
        return content
    finally:
        os.close(file)
