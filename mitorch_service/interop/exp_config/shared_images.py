"""Images that two CSV files have in common."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mitorch_service.wording.counted import counted

_SHOWN = 5


@dataclass(frozen=True)
class SharedImages:
    """The number of images in both files, and the first of them."""

    count: int
    first: tuple[str, ...]

    def remark(self, train: str, test: str) -> str:
        """Returns a warning for people."""
        if not self.count:
            return f"{train} and {test} are of different versions; they have no image in common"
        shown = ", ".join(self.first) + ", …" * (self.count > len(self.first))
        images = counted(self.count, "image")
        return f"{train} and {test} are of different versions; {images} in both, so that metrics flatter: {shown}"


def shared_images(train: Iterable[str], test: Iterable[str]) -> SharedImages:
    """Compares the lines of two files by the names of their images, reading each once. Keeps a number for each name:
    of a million images those take 100 MB."""
    known = {hash(name) for name in _names(train)}
    seen: set[int] = set()
    first: list[str] = []
    for name in _names(test):
        number = hash(name)
        if number in known and number not in seen:
            seen.add(number)
            first += [name] if len(first) < _SHOWN else []
    return SharedImages(len(seen), tuple(first))


def _names(lines: Iterable[str]) -> Iterator[str]:
    """The names in the first column, or in ``filename``, once for neighbouring lines. Files that are no CSV have none:
    the training says what is wrong with them."""
    before = ""
    try:
        rows = csv.reader(lines)
        header = [column.strip().lower() for column in next(rows, [])]
        place = header.index("filename") if "filename" in header else 0
        for row in rows:
            name = row[place].strip() if len(row) > place else ""
            if name and name != before:
                yield name
            before = name
    except csv.Error:
        return
