"""Boxes of many images as they come from a file, to one list of images."""

from __future__ import annotations

import logging
import math
from array import array
from collections import Counter
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import BoxTargets

Size = tuple[float, float]  # width and height in pixels
Corners = tuple[float, float, float, float]  # x_min, y_min, x_max, y_max in pixels

log = logging.getLogger("mitorch")

_FAR = 1e30  # pixels, where no size is known; below infinity, which is no place
_EDGE = 0.51  # pixels: a box that reaches beyond the image by less was rounded


class BoxList:
    """Boxes are added in any order. Those that cannot be used are left out, counted and told at the end."""

    def __init__(self, name: str) -> None:
        """`name` is what messages call the file."""
        self.name = name
        self.labels = array("q")
        self._corners, self._owners = array("f"), array("Q")
        self._images: list[str] = []
        self._numbers: dict[str, int] = {}  # of those that `image` was asked for
        self._sizes: dict[int, Size] = {}  # by number, as far as they are stated
        self._flaws = BoxFlaws(name)

    @property
    def first_image(self) -> str:
        """The image that came first; empty without any."""
        return self._images[0] if self._images else ""

    def image(self, image: str, size: Size | None = None) -> int:
        """The number of this image, which is taken in when it is new: one without boxes shows nothing. `size`: what is
        stated of it."""
        number = self._numbers.get(image)
        if number is None:
            number = self._numbers[image] = self.new_image(image)
        if size is not None:
            self._sizes[number] = size
        return number

    def new_image(self, image: str) -> int:
        """The number of an entry of its own, where the image has one already, too: it is to be seen that often."""
        self._images.append(image)
        return len(self._images) - 1

    def add(self, image: int, label: int, corners: Corners) -> None:
        """A box of the image of this number."""
        x_min, y_min, x_max, y_max = corners
        size = self._sizes.get(image)
        x_limit, y_limit = size or (_FAR, _FAR)
        if not (0 <= x_min < x_max <= x_limit and 0 <= y_min < y_max <= y_limit):  # of a million boxes, few
            if not self._flaws.usable(corners, size):
                return
            corners = (max(0.0, x_min), max(0.0, y_min), min(x_max, x_limit), min(y_max, y_limit))
        self.labels.append(label)
        self._corners.extend(corners)
        self._owners.append(image)

    def extend(self, images: array[int], labels: array[int], corners: array[float], *, sound: bool) -> None:
        """Adds many boxes, with four corners each. `sound`: all of them are."""
        if sound:
            self._owners.extend(images)
            self.labels.extend(labels)
            self._corners.extend(corners)
            return
        corner = iter(corners)
        for image, label, box in zip(images, labels, zip(corner, corner, corner, corner, strict=True), strict=True):
            self.add(image, label, box)

    def finish(self, folder: Path, classes: tuple[str, ...], *, named: bool = True) -> ImageList:
        """The list, its images in the order in which they came. Raises DataError without any, and
        for boxes in parts of the image: less than a pixel each, they would be left out of the training."""
        if not self._images:
            raise DataError(f"{self.name}: names no image.")
        self._flaws.tell()
        if self._are_parts():
            raise DataError(f"{self.name}: all boxes lie within 0 and 1, parts of an image. Write corners in pixels.")
        targets = BoxTargets.grouped(len(self._images), self._owners, self.labels, self._corners)
        images = PackedStrings(self._images)
        return ImageList(self.name, folder, images, targets, classes, named, stated_sizes=self._packed_sizes())

    def _packed_sizes(self) -> array[float]:
        """Width and height of each image, 0 where they are not stated; nothing if they are of none."""
        count = len(self._images) if self._sizes else 0
        return array("f", (side for number in range(count) for side in self._sizes.get(number, (0.0, 0.0))))

    def _are_parts(self) -> bool:
        first = self._corners[:4]  # tells of most files that they are not, before all of it is looked at
        return bool(first) and max(first) <= 1 and max(self._corners) <= 1 and any(one % 1 for one in self._corners)


def is_sound(corners: Corners) -> bool:
    """Whether the box has an area, and begins in the image."""
    x_min, y_min, x_max, y_max = corners
    return 0 <= x_min < x_max <= _FAR and 0 <= y_min < y_max <= _FAR


class BoxFlaws:
    """Counts the boxes that are no boxes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def usable(self, corners: Corners, size: Size | None) -> bool:
        """Whether there is a part of the image in the box."""
        flaw, usable = _flaw(corners, size)
        if flaw is not None:
            self._counts[flaw] += 1
            self._first.setdefault(flaw, ", ".join(f"{value:g}" for value in corners))
        return usable

    def tell(self) -> None:
        """Logs one line for each kind of flaw."""
        for flaw, count in self._counts.items():
            log.warning("%s: %d boxes %s; the first is %s", self._name, count, flaw, self._first[flaw])


def _flaw(corners: Corners, size: Size | None) -> tuple[str | None, bool]:
    """What is wrong with the box, and whether something of it can be used."""
    x_min, y_min, x_max, y_max = corners
    if not all(map(math.isfinite, corners)):
        return "have a corner that is no finite number and are left out", False
    if x_min > x_max or y_min > y_max:
        return "are inverted (the minimum is beyond the maximum) and are left out", False
    if x_min == x_max or y_min == y_max:
        return "are empty (no width or no height) and are left out", False
    if x_max <= 0 or y_max <= 0 or (size is not None and (x_min >= size[0] or y_min >= size[1])):
        return "are outside of their images and are left out", False
    beyond = size is not None and (x_max > size[0] + _EDGE or y_max > size[1] + _EDGE)
    if min(x_min, y_min) < -_EDGE or beyond:
        return "reach beyond their images and are cut off at the edge", True
    return None, True
