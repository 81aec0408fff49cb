"""Looks at a data set as a person would before writing a config for it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.image_files import read_size
from mitorch_service.training.data.targets import Kind

_MOST_LOOKED_AT = 300  # images, spread evenly over the set


@dataclass(frozen=True)
class Survey:
    """The facts on which a first config depends."""

    kind: Kind
    images: int
    classes: tuple[str, ...]
    per_class: tuple[int, int]  # the smallest and the largest number of images of a class (detection: of boxes)
    shorter_side: int  # the median in pixels
    box_side: int | None  # the median of the square root of the boxes' areas in pixels; None without boxes


def survey(images: ImageList) -> Survey:
    """Counts classes, and measures a sample of the images. Raises DataError if none of them can be read."""
    counts = images.targets.images_per_class()
    per_class = [counts.get(label, 0) for label in range(len(images.classes))]
    step = max(len(images) // _MOST_LOOKED_AT, 1)
    sample = range(0, len(images), step)
    sides = [side for index in sample if (side := _shorter_side(images, index)) is not None]
    if not sides:
        raise DataError(f"{images.name}: no image can be read ({len(sample)} tried).")
    return Survey(
        images.kind,
        len(images),
        images.classes,
        (min(per_class, default=0), max(per_class, default=0)),
        round(statistics.median(sides)),
        _box_side(images, sample),
    )


def _shorter_side(images: ImageList, index: int) -> int | None:
    size = read_size(images.location(index), images.archives)
    return min(size) if size is not None else None  # a damaged image is the training's business; the others tell


def _box_side(images: ImageList, sample: range) -> int | None:
    if images.kind != "detection":
        return None
    sides: list[float] = []
    for index in sample:
        target = images.target(index)
        assert not isinstance(target, int | tuple)
        width, height = (target.boxes[:, 2:] - target.boxes[:, :2]).T
        sides += ((width * height) ** 0.5).tolist()
    return round(statistics.median(sides)) if sides else None
