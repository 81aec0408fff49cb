"""Whether boxes lie within their images, where the file of the data set does not have the images' sizes."""

from __future__ import annotations

import logging
import zipfile
from io import BytesIO

from PIL import Image

from mitorch_service.training.data.box_list import BoxFlaws
from mitorch_service.training.data.image_list import ImageList, ImageLocation
from mitorch_service.training.data.targets import Boxes
from mitorch_service.training.data.zip_files import ZipFiles

log = logging.getLogger("mitorch")

_MOST_IMAGES = 10_000  # whose sizes are read: some seconds; more take too long to wait for


def tell_boxes_beyond(image_list: ImageList) -> None:
    """Logs how many boxes lie beyond their images, in whole or in part, of the first 10,000 images, and how many of
    these are not of the size that the data set states: boxes are pixels of the image as it is stored.

    Reads the head of each image file; what has none is left to the training, which names it. What is beyond is cut off
    when the image is loaded.
    """
    if image_list.kind != "detection":
        return
    flaws, others = BoxFlaws(image_list.name), _OtherSizes(image_list)
    for index in range(min(len(image_list), _MOST_IMAGES)):
        target = image_list.target(index)
        if not isinstance(target, Boxes) or not len(target):
            continue
        size, stated = _size(image_list.location(index), image_list.archives), image_list.stated_size(index)
        if size is None or size == stated:  # then its boxes were cut off there
            continue
        if stated is not None:
            others.add(index, size, stated)
        for x_min, y_min, x_max, y_max in target.boxes.tolist():
            flaws.usable((x_min, y_min, x_max, y_max), size)
    flaws.tell()
    others.tell()


class _OtherSizes:
    """Counts the images that are not of the size that is stated."""

    def __init__(self, image_list: ImageList) -> None:
        self._image_list, self._count, self._first = image_list, 0, ""

    def add(self, index: int, size: tuple[int, int], stated: tuple[float, float]) -> None:
        self._count += 1
        name = self._image_list.images[index]
        self._first = self._first or f"{name} is {size[0]}x{size[1]}, not {stated[0]:g}x{stated[1]:g}"

    def tell(self) -> None:
        if self._count:
            log.warning(
                "%s: %d images are not of the size that it states; the first: %s. Its boxes are taken as pixels of the "
                "image as stored. If they were drawn on it in another size, or turned by its EXIF data, store it so.",
                self._image_list.name,
                self._count,
                self._first,
            )


def _size(location: ImageLocation, archives: ZipFiles) -> tuple[int, int] | None:
    """Width and height as stored, or None for what is no image."""
    try:
        file = location.path if location.entry is None else BytesIO(archives.read(location.path, location.entry))
        with Image.open(file) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, KeyError, RuntimeError, zipfile.BadZipFile, Image.DecompressionBombError):
        return None
