"""Compares boxes with the sizes of their images, which most data sets do not state."""

from __future__ import annotations

import logging

from mitorch_service.training.data.boxes.box_flaws import BoxFlaws, Size
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.image_files import read_size
from mitorch_service.training.data.targets import Boxes
from mitorch_service.wording.control_characters import one_line
from mitorch_service.wording.counted import are, counted

log = logging.getLogger("mitorch")

_MOST_IMAGES = 10_000  # whose sizes are read: takes seconds; more would take too long


def log_boxes_outside_images(images: ImageList) -> None:
    """Logs how many boxes of the first 10,000 images are partly or wholly outside, and how many of these images differ
    in size from what the data set states. Loading clips such boxes.

    Reads only the head of each image file, and skips one that has none: the training names it.
    """
    if images.kind != "detection":
        return
    flaws = BoxFlaws(images.name)
    wrong_sizes = _WrongSizes(images)
    for index in range(min(len(images), _MOST_IMAGES)):
        target = images.target(index)
        if not isinstance(target, Boxes) or not len(target):
            continue
        size = read_size(images.location(index), images.archives)
        stated = images.stated_size(index)
        if size is None or size == stated:  # unreadable, or clipped when the file was read
            continue
        if stated is not None:
            wrong_sizes.add(index, size, stated)
        for x_min, y_min, x_max, y_max in target.boxes.tolist():
            flaws.usable((x_min, y_min, x_max, y_max), size)
    flaws.log()
    wrong_sizes.log()


class _WrongSizes:
    """Counts the images that differ in size from what the data set states."""

    def __init__(self, images: ImageList) -> None:
        self._images = images
        self._count = 0
        self._first = ""

    def add(self, index: int, size: tuple[int, int], stated: Size) -> None:
        self._count += 1
        name = self._images.images[index]
        self._first = self._first or f"{name} is {size[0]}x{size[1]}, not {stated[0]:g}x{stated[1]:g}"

    def log(self) -> None:
        if self._count:
            log.warning(
                "%s: %s %s not of the size that it states; the first: %s. Its boxes are taken as pixels of "
                "the image as stored. If they were drawn on it in another size, or turned by its EXIF data, store it "
                "so.",
                self._images.name,
                counted(self._count, "image"),
                are(self._count),
                one_line(self._first),
            )
