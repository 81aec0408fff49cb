"""The files of boxes of the text format: one per image, plain or in zip archives."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.image_list import ImageLocation, split_entry
from mitorch_service.training.zip_files import ZipFiles

Corners = tuple[float, float, float, float]


class BoxFiles:
    """Keeps the archives open."""

    def __init__(self, folder: Path, classes: int) -> None:
        """`folder`: what the files' paths are relative to. `classes`: how many ids are allowed."""
        self._folder, self._classes = os.fspath(folder), classes
        self._archives = ZipFiles()

    def read(self, text: str, where: str) -> Iterator[tuple[int, Corners]]:
        """Class and corners of each box in the file that `text` names. Raises DataError, with `where` for the file."""
        for number, line in enumerate(self._content(text, where).splitlines(), 1):
            if values := line.split():
                yield self._box(values, f"{where}: {text}, line {number}")

    def _content(self, text: str, where: str) -> str:
        name, entry = split_entry(text)
        path = os.path.join(self._folder, name)  # noqa: PTH118 - a Path for each of a million costs seconds
        try:
            content = _read(path) if entry is None else self._archives.read(path, entry)
            return content.decode("utf-8-sig")
        except (FileNotFoundError, KeyError):
            missing = ImageLocation.parse(text, Path(self._folder))
            raise DataError(f"{where}: the file of boxes {missing} is missing.") from None
        except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
            wrong = ImageLocation.parse(text, Path(self._folder))
            raise DataError(f"{where}: the file of boxes {wrong} cannot be read ({error}).") from error

    def _box(self, values: list[str], where: str) -> tuple[int, Corners]:
        try:
            label, x_min, y_min, x_max, y_max = values
            box = int(label), (float(x_min), float(y_min), float(x_max), float(y_max))
        except ValueError:
            raise DataError(f"{where}: {' '.join(values)!r} is not '<class id> x_min y_min x_max y_max'.") from None
        if not 0 <= box[0] < self._classes:
            raise DataError(f"{where}: class {label} is not one of the {self._classes} classes (from 0).")
        return box


def _read(path: str) -> bytes:
    """The whole file, with fewer calls than a buffered one makes."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, os.fstat(file).st_size + 1)
    finally:
        os.close(file)
