"""Collects the boxes of a data file, in any order, into one compact list of images."""

from __future__ import annotations

from array import array
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import MOST_PIXELS, BoxFlaws, Corners, Size
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import BoxTargets


class BoxCollector:
    """Flat arrays of boxes with the number of each one's image. Unusable boxes are left out, counted, and logged at the
    end."""

    def __init__(self, name: str) -> None:
        """`name` is what messages call the file."""
        self.name = name
        self.labels = array("q")  # one per box
        self._corners = array("f")  # four per box
        self._owners = array("Q")  # the number of each box's image
        self._images = PackedStrings()
        self._numbers: dict[str, int] = {}  # of the images added by `image`
        self._sizes: dict[int, Size] = {}  # by image number, where stated
        self._flaws = BoxFlaws(name)

    @property
    def first_image(self) -> str:
        """The first image; empty if there is none."""
        return self._images[0] if len(self._images) else ""

    def image(self, image: str, size: Size | None = None) -> int:
        """The number of this image, added if it is new. One that never gets a box shows nothing."""
        number = self._numbers.get(image)
        if number is None:
            number = self._numbers[image] = self.new_image(image)
        if size is not None:
            self._sizes[number] = size
        return number

    def new_image(self, image: str) -> int:
        """Adds an image, even one added before (a text file repeats lines to show an image more often)."""
        self._images.append(image)
        return len(self._images) - 1

    def add(self, image: int, label: int, corners: Corners) -> None:
        """Adds a box to the image with this number, clipped to the image where its size is known."""
        x_min, y_min, x_max, y_max = corners
        size = self._sizes.get(image)
        x_limit, y_limit = size or (MOST_PIXELS, MOST_PIXELS)
        if not (0 <= x_min < x_max <= x_limit and 0 <= y_min < y_max <= y_limit):  # rare
            if not self._flaws.usable(corners, size):
                return
            corners = (max(0.0, x_min), max(0.0, y_min), min(x_max, x_limit), min(y_max, y_limit))
        self.labels.append(label)
        self._corners.extend(corners)
        self._owners.append(image)

    def extend(self, images: array[int], labels: array[int], corners: array[float], *, valid: bool) -> None:
        """Adds many boxes, with four corners each. `valid`: all of them pass `is_valid`, so none needs a look."""
        if valid:
            self._owners.extend(images)
            self.labels.extend(labels)
            self._corners.extend(corners)
            return
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            x_min, y_min, x_max, y_max = corners[4 * index : 4 * index + 4]
            self.add(image, label, (x_min, y_min, x_max, y_max))

    def finish(self, folder: Path, classes: tuple[str, ...], *, classes_named: bool = True) -> ImageList:
        """Packs the images in the order in which they were added, and logs the flaws. Raises DataError if there is no
        image, and for corners that are fractions of the image: as pixels, such boxes would vanish."""
        if not len(self._images):
            raise DataError(f"{self.name}: names no image.")
        self._flaws.log()
        if self._are_fractions():
            raise DataError(
                f"{self.name}: all boxes are between 0 and 1, fractions of the image. Write corners in pixels."
            )
        targets = BoxTargets.grouped(len(self._images), self._owners, self.labels, self._corners)
        sizes = self._packed_sizes()
        return ImageList(self.name, folder, self._images, targets, classes, classes_named, stated_sizes=sizes)

    def _packed_sizes(self) -> array[float]:
        """Width and height of each image, 0 where not stated; empty if none are."""
        count = len(self._images) if self._sizes else 0
        return array("f", (side for number in range(count) for side in self._sizes.get(number, (0.0, 0.0))))

    def _are_fractions(self) -> bool:
        first = self._corners[:4]  # rules it out for most files before all corners are searched
        return bool(first) and max(first) <= 1 and max(self._corners) <= 1 and any(one % 1 for one in self._corners)
