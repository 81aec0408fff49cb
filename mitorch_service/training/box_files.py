"""The files of boxes of the text format: one per image, plain or in zip archives."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from mitorch_service.errors import DataError
from mitorch_service.training.image_list import ImageLocation

Corners = tuple[float, float, float, float]


class BoxFiles:
    """Keeps the archives open while it is used as a context."""

    def __init__(self, folder: Path, classes: int) -> None:
        """`folder`: what the files' paths are relative to. `classes`: how many ids are allowed."""
        self._folder, self._classes = folder, classes
        self._archives: dict[Path, zipfile.ZipFile] = {}

    def read(self, text: str, where: str) -> Iterator[tuple[int, Corners]]:
        """Class and corners of each box in the file that `text` names. Raises DataError, with `where` for the file."""
        content = self._content(ImageLocation.parse(text, self._folder), where)
        for number, line in enumerate(content.splitlines(), 1):
            if values := line.split():
                yield self._box(values, f"{where}: {text}, line {number}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        while self._archives:
            self._archives.popitem()[1].close()

    def _content(self, location: ImageLocation, where: str) -> str:
        try:
            if location.entry is None:
                return location.path.read_text("utf-8-sig")
            if location.path not in self._archives:
                self._archives[location.path] = zipfile.ZipFile(location.path)
            return self._archives[location.path].read(location.entry).decode("utf-8-sig")
        except (FileNotFoundError, KeyError):
            raise DataError(f"{where}: the file of boxes {location} is missing.") from None
        except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
            raise DataError(f"{where}: the file of boxes {location} cannot be read ({error}).") from error

    def _box(self, values: list[str], where: str) -> tuple[int, Corners]:
        try:
            label, x_min, y_min, x_max, y_max = values
            box = int(label), (float(x_min), float(y_min), float(x_max), float(y_max))
        except ValueError:
            raise DataError(f"{where}: {' '.join(values)!r} is not '<class id> x_min y_min x_max y_max'.") from None
        if not 0 <= box[0] < self._classes:
            raise DataError(f"{where}: class {label} is not one of the {self._classes} classes (from 0).")
        return box
