"""The shape of a box, and the flaws that make it partly or wholly unusable."""

from __future__ import annotations

import logging
import math
from collections import Counter

from mitorch_service.wording.counted import are, counted

Size = tuple[float, float]  # width and height in pixels
# x_min, y_min, x_max, y_max in pixels from the top left corner, continuous: a box around the first pixel is 0, 0, 1, 1.
Corners = tuple[float, float, float, float]

log = logging.getLogger("mitorch")

MOST_PIXELS = 1e30  # the limit of a corner where no size is known; below infinity, which is no position
_TOLERANCE = 0.51  # pixels: a box that exceeds the image by less was rounded


def is_valid(corners: Corners) -> bool:
    """Whether the box has an area and no negative corner."""
    x_min, y_min, x_max, y_max = corners
    return 0 <= x_min < x_max <= MOST_PIXELS and 0 <= y_min < y_max <= MOST_PIXELS


class BoxFlaws:
    """Counts flawed boxes by the kind of flaw."""

    def __init__(self, name: str) -> None:
        """`name` is what messages call the data set."""
        self._name = name
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def usable(self, corners: Corners, size: Size | None) -> bool:
        """Whether part of the box is in the image. Counts its flaw, if it has one."""
        flaw, usable = _flaw(corners, size)
        if flaw is not None:
            self._counts[flaw] += 1
            self._first.setdefault(flaw, ", ".join(f"{value:g}" for value in corners))
        return usable

    def log(self) -> None:
        """Logs one line for each kind of flaw."""
        for flaw, count in self._counts.items():
            boxes = f"{counted(count, 'box', 'boxes')} {are(count)}"
            log.warning("%s: %s %s; the first is %s", self._name, boxes, flaw, self._first[flaw])


def _flaw(corners: Corners, size: Size | None) -> tuple[str | None, bool]:
    """The flaw, if any, and whether the box can be used all the same."""
    x_min, y_min, x_max, y_max = corners
    if not all(map(math.isfinite, corners)):
        return "left out, as a corner is not a finite number", False
    if x_min > x_max or y_min > y_max:
        return "inverted (the minimum is beyond the maximum) and left out", False
    if x_min == x_max or y_min == y_max:
        return "empty (no width or no height) and left out", False
    if x_max <= 0 or y_max <= 0 or (size is not None and (x_min >= size[0] or y_min >= size[1])):
        return "outside of the image and left out", False
    beyond = size is not None and (x_max > size[0] + _TOLERANCE or y_max > size[1] + _TOLERANCE)
    if min(x_min, y_min) < -_TOLERANCE or beyond:
        return "cut off at the edge of the image", True
    return None, True
