"""The places of the files that a format has for each image."""

from __future__ import annotations

import re
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.errors import DataError

_ENTRY = re.compile(r"(\.zip)@", re.IGNORECASE)


def is_entry(path: str) -> bool:
    """Whether the path is that of an image in an archive, ``archive.zip@entry``."""
    return _ENTRY.search(path) is not None


def place_within(path: str) -> str:
    """An image's path as one below any folder: without a root and without ``..``; an archive is a folder."""
    parts = _ENTRY.sub(r"\1/", path, count=1).split("/")
    return "/".join(part for part in parts if part not in {"", ".", ".."})


def without_extension(place: str) -> str:
    """The path without the ending of its last name."""
    folder, slash, name = place.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0] or name}"


class Places:
    """Creates one file for each image, and refuses the same place for two."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[int] = set()  # hashes, which take less than the names
        self._folders: set[str] = set()

    def write(self, place: str, image: AnnotatedImage, content: str) -> None:
        """Writes the file at this place below the folder. Raises DataError if it is another image's already."""
        if not self.is_free(place):
            raise DataError(
                f"the image {image.path} would have its annotations in {place}, as another image has. Rename it."
            )
        if "\0" in place:
            raise DataError(f"the image {image.path!r} would have its annotations in a file of this name. Rename it.")
        self._taken.add(hash(place))
        parent = place.rpartition("/")[0]
        if parent not in self._folders:
            (self._folder / parent).mkdir(parents=True, exist_ok=True)
            self._folders.add(parent)
        (self._folder / place).write_text(content, encoding="utf-8", newline="\n")

    def is_free(self, place: str) -> bool:
        return hash(place) not in self._taken
