"""Reads sizes and EXIF orientations from the heads of image files, and turns boxes by them.

Tools that show an image upright draw boxes on it as it is seen; a data set has them in pixels of the image as stored.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import Corners
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.image_files import DAMAGES, image_file, open_image, stored_size
from mitorch_service.training.data.parallel_readers import FILES_PER_CALL, Call, results
from mitorch_service.training.data.zip_index import ZipFiles

_SWAPPED = (5, 6, 7, 8)  # EXIF orientations with width and height swapped
_MIRRORED_X = (2, 3, 6, 7)  # x is mirrored, after the swap
_MIRRORED_Y = (3, 4, 7, 8)


class StoredImage(NamedTuple):
    """The size of an image in its file, and how it is turned to be seen."""

    width: int  # pixels
    height: int
    orientation: int = 1  # EXIF's, 1 to 8

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as the image is to be seen."""
        swapped = self.orientation in _SWAPPED
        return (self.height, self.width) if swapped else (self.width, self.height)

    def upright(self, corners: Corners) -> Corners:
        """Converts a box from pixels of the file to pixels of the image as it is to be seen."""
        x_min, y_min, x_max, y_max = corners
        if self.orientation in _SWAPPED:
            x_min, y_min, x_max, y_max = y_min, x_min, y_max, x_max
        return self._mirrored((x_min, y_min, x_max, y_max))

    def stored(self, corners: Corners) -> Corners:
        """Converts back what `upright` has converted."""
        x_min, y_min, x_max, y_max = self._mirrored(corners)
        if self.orientation in _SWAPPED:
            return y_min, x_min, y_max, x_max
        return x_min, y_min, x_max, y_max

    def _mirrored(self, corners: Corners) -> Corners:
        x_min, y_min, x_max, y_max = corners
        width, height = self.upright_size
        if self.orientation in _MIRRORED_X:
            x_min, x_max = width - x_max, width - x_min
        if self.orientation in _MIRRORED_Y:
            y_min, y_max = height - y_max, height - y_min
        return x_min, y_min, x_max, y_max


def stored_images(folder: Path, names: Iterable[str]) -> Iterator[StoredImage | None]:
    """Reads the head of each image, many in other processes; None for one that is missing or cannot be read. `names`
    are relative to the folder; entries of archives are read here."""
    rest, archives = iter(names), ZipFiles()
    try:
        for found in results(_calls(folder, rest, archives)):
            yield from found
    finally:
        archives.close()


def read_stored_image(location: ImageLocation, archives: ZipFiles) -> StoredImage | None:
    """Reads the head of one image; None if it is missing or cannot be read."""
    try:
        with open_image(image_file(location, archives)) as image:
            width, height = stored_size(image)
            if image.format == "PNG" and "exif" not in image.info:  # looking for it decodes the image
                return StoredImage(width, height)
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (DataError, *DAMAGES):
        return None
    known = isinstance(orientation, int) and 1 <= orientation <= 8
    return StoredImage(width, height, orientation if known else 1)


def _calls(folder: Path, names: Iterator[str], archives: ZipFiles) -> Iterator[Call[list[StoredImage | None]]]:
    while part := list(islice(names, FILES_PER_CALL)):
        if any("@" in name for name in part):  # an archive: its directory is read once, in this process
            yield Call(_read_all, (os.fspath(folder), part, archives), here=True)
        else:
            yield Call(_read_all, (os.fspath(folder), part, ZipFiles()))


def _read_all(folder: str, names: Sequence[str], archives: ZipFiles) -> list[StoredImage | None]:
    return [read_stored_image(ImageLocation.parse(name, Path(folder)), archives) for name in names]
