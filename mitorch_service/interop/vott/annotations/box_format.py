"""Tells boxes of two corners from boxes of a corner and a size, by the images that they are in.

VoTT-train's own description has x1,y1,x2,y2, VoTT-web writes x,y,width,height, and neither says which. Read in the
wrong way, a box of two corners usually leaves the image, and one with a size has its corners in the wrong order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.vott.annotations.rows import BoxFormat, Numbers

_TOLERANCE = 1.5  # pixels that a box may be outside its image
_MAJORITY = 10  # times as many boxes must fit one way only as fit the other way only
_SHOWN = 3
_WRITTEN: dict[BoxFormat, str] = {"corners": "x1,y1,x2,y2", "size": "x,y,width,height"}


def as_corners(numbers: Numbers, box_format: BoxFormat) -> Numbers:
    """Returns left, top, right, bottom."""
    if box_format == "corners":
        return numbers
    x, y, width, height = numbers
    return (x, y, x + width, y + height)


def fits(numbers: Numbers, box_format: BoxFormat, width: int, height: int) -> bool:
    """Whether the numbers, read so, are a box in an image of this size."""
    left, top, right, bottom = as_corners(numbers, box_format)
    inside = left >= -_TOLERANCE and top >= -_TOLERANCE and right <= width + _TOLERANCE
    return inside and bottom <= height + _TOLERANCE and left < right and top < bottom


@dataclass
class FormatEvidence:
    """Counts the boxes that can be read in one way only."""

    corners: int = 0
    size: int = 0
    either: int = 0
    lines: dict[BoxFormat, list[int]] = field(default_factory=lambda: {"corners": [], "size": []})

    def add(self, line: int, numbers: Numbers, width: int, height: int) -> None:
        """Adds a box of an image of this size, in pixels."""
        as_two, as_size = fits(numbers, "corners", width, height), fits(numbers, "size", width, height)
        if as_two and as_size:
            self.either += 1
        elif as_two:
            self.corners += 1
            self._note("corners", line)
        elif as_size:
            self.size += 1
            self._note("size", line)

    def decide(self, source: str) -> tuple[BoxFormat, str]:
        """Returns how the boxes are written, and why in words. Raises InvalidInput if they contradict each other."""
        for one, count, other in (("corners", self.corners, self.size), ("size", self.size, self.corners)):
            if count > other * _MAJORITY:
                chosen: BoxFormat = "corners" if one == "corners" else "size"
                lines = ", ".join(map(str, self.lines[chosen]))
                return chosen, f"boxes are {_WRITTEN[chosen]}: {count} of them can be nothing else (lines {lines})"
        if self.corners or self.size:
            shown = " and ".join(
                f"{_WRITTEN[one]} (lines {', '.join(map(str, lines))})" for one, lines in self.lines.items()
            )
            problem = (
                f"some boxes can only be {shown}: correct them, give the file a header, or say which it is by "
                '"box_format": "corners" or "size" in the message'
            )
            raise InvalidInput(source, [Problem("", problem)])
        return "corners", f"boxes are taken for {_WRITTEN['corners']}: nothing in the file says otherwise"

    def _note(self, one: BoxFormat, line: int) -> None:
        if len(self.lines[one]) < _SHOWN:
            self.lines[one].append(line)
