"""The box files of the text format: one per image, plain or in zip archives."""

from __future__ import annotations

import os
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import Corners, is_valid
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.image_list import ImageLocation, split_entry
from mitorch_service.training.data.parallel_readers import FILES_PER_CALL, Call
from mitorch_service.training.data.regular_files import open_descriptor
from mitorch_service.training.data.zip_index import ZipFiles
from mitorch_service.wording.counted import counted

_BLOCK = 1 << 14  # bytes; few files are larger
_MOST_BYTES = 1 << 26  # of a file; a million boxes
_TOO_LARGE = "more than 64 MiB: no boxes of one image"


@dataclass
class FoundBoxes:
    """The boxes of several files, one file after the other; compact, as it is sent from another process."""

    counts: array[int] = field(default_factory=lambda: array("L"))  # boxes in each file
    labels: array[int] = field(default_factory=lambda: array("q"))  # one per box
    corners: array[float] = field(default_factory=lambda: array("f"))  # four per box
    valid: bool = True  # all boxes pass `is_valid`
    problem: str = ""  # what is wrong with the file after those counted, with its name


def box_file_calls(folder: Path, classes: int, names: Iterable[str]) -> Iterator[Call[FoundBoxes]]:
    """Calls that read box files with `classes` allowed ids, in order. `folder` is what their names are relative to."""
    files, rest = _BoxFiles(folder, classes), iter(names)
    while part := list(islice(rest, FILES_PER_CALL)):
        if any("@" in name for name in part):  # an archive: its directory is read once, in this process
            yield Call(files.read, (part,), here=True)
        else:
            yield Call(_read_box_files, (folder, classes, part))


def _read_box_files(folder: Path, classes: int, names: Sequence[str]) -> FoundBoxes:
    return _BoxFiles(folder, classes).read(names)


class _BoxFiles:
    """Reads box files and keeps their archives open."""

    def __init__(self, folder: Path, classes: int) -> None:
        self._folder = os.fspath(folder)
        self._classes = classes
        self._archives = ZipFiles()

    def read(self, names: Iterable[str]) -> FoundBoxes:
        """Reads the files up to the first that has a problem."""
        found = FoundBoxes()
        try:
            for name in names:
                before = len(found.labels)
                for label, corners in self._boxes(name):
                    found.labels.append(label)
                    found.corners.extend(corners)
                    found.valid = found.valid and is_valid(corners)
                found.counts.append(len(found.labels) - before)
        except DataError as error:
            found.problem = str(error)
            whole = sum(found.counts)  # boxes before the file with the problem
            del found.labels[whole:], found.corners[4 * whole :]
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
                problem = f"{excerpt(' '.join(values))} is not '<class id> x_min y_min x_max y_max'."
                raise DataError(f"{text}, line {number}: {problem}") from None
            if not 0 <= class_id < self._classes:
                problem = f"class {label[:20]} is not one of the {counted(self._classes, 'class', 'classes')} (from 0)."
                raise DataError(f"{text}, line {number}: {problem}")
            yield class_id, corners

    def _content(self, text: str) -> str:
        name, entry = split_entry(text)
        path = name if name.startswith("/") else f"{self._folder}/{name}"  # a Path for each of a million costs seconds
        try:
            content = _read(path) if entry is None else self._unpacked(path, entry)
            return content.decode().removeprefix("\ufeff")
        except (FileNotFoundError, KeyError):
            raise DataError(f"the box file {ImageLocation(Path(path), entry)} is missing.") from None
        except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
            raise DataError(f"the box file {ImageLocation(Path(path), entry)} cannot be read ({error}).") from error

    def _unpacked(self, path: str, entry: str) -> bytes:
        archive = self._archives.at(path)
        if archive.size(entry) > _MOST_BYTES:
            raise OSError(_TOO_LARGE)
        return archive.read(entry)


def _read(path: str) -> bytes:
    """Reads the whole file with fewer system calls than a buffered one makes."""
    file = open_descriptor(path)
    try:
        content = block = os.read(file, _BLOCK)
        while len(block) == _BLOCK and len(content) <= _MOST_BYTES:
            block = os.read(file, _BLOCK)
            content += block
    finally:
        os.close(file)
    if len(content) > _MOST_BYTES:
        raise OSError(_TOO_LARGE)
    return content
