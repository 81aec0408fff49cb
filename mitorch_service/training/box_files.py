"""The files of boxes of the text format: one per image, plain or in zip archives."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.image_list import ImageLocation, split_entry
from mitorch_service.training.zip_files import ZipFiles

_BLOCK = 1 << 14  # bytes; few files are larger

Corners = tuple[float, float, float, float]


class BoxFiles:
    """Keeps the archives open."""

    def __init__(self, folder: Path, classes: int) -> None:
        """`folder`: what the files' paths are relative to. `classes`: how many ids are allowed."""
        self._folder, self._classes = os.fspath(folder), classes
        self._archives = ZipFiles()

    def read(self, text: str) -> Iterator[tuple[int, Corners]]:
        """Class and corners of each box in the file that `text` names. Raises DataError, which names the file."""
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
