"""Draws a contact sheet: pictures with captions and boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitorch_service.training.plots.canvas import drawable, new_figure, save_figure, shorten

if TYPE_CHECKING:
    from matplotlib.patches import Rectangle

_COLUMNS = 4
_TEXT_HEIGHT = 0.06  # of a picture's
_GAP = 0.25  # between pictures, of a picture's longer side: three lines of text
_PITCH = 1 + _GAP
_TITLE = 42  # characters in a line
_HEAD = 0.5  # inches above the first row, for the title and the legend


@dataclass(frozen=True)
class DrawnBox:
    """A box in pixels of the original image."""

    corners: tuple[float, float, float, float]  # x_min, y_min, x_max, y_max
    text: str
    true: bool  # from the data set: drawn in solid green; else a prediction: dashed red


@dataclass(frozen=True)
class Picture:
    """The caption and boxes of a picture."""

    title: str
    boxes: list[DrawnBox] = field(default_factory=list)
    group: str = ""  # pictures of one group belong together


def draw_sheet(
    pictures: Sequence[tuple[Any, float, Picture]],
    title: str,
    path: Path,
    kinds: tuple[str, str] = ("true", "predicted"),
) -> Path:
    """Draws the pictures and returns the path of the PNG.

    Each picture is pixels, uint8 (height, width, 3), their scale (pixels per pixel of the original image) and caption.
    `kinds`: what the legend calls boxes of the data set and others.
    """
    rows = math.ceil(len(pictures) / _COLUMNS)
    figure = new_figure(3 * _COLUMNS, 3.2 * rows + _HEAD)
    axes = figure.subplots()  # one for all pictures: one for each takes several times as long to draw
    axes.set(xlim=(0, _COLUMNS * _PITCH - _GAP), ylim=(rows * _PITCH, 0), aspect="equal")
    axes.axis("off")
    figure.suptitle(drawable(title), fontsize=10, x=0.01, ha="left")
    for place, (pixels, scale, picture) in enumerate(pictures):
        row, column = divmod(place, _COLUMNS)
        cell = _Cell(axes, column * _PITCH, (row + 1) * _PITCH - 1, *pixels.shape[1::-1])
        cell.draw(pixels, picture.title)
        for box in picture.boxes:
            _draw_box(cell, box, scale)
    if any(picture.boxes for _, _, picture in pictures):
        edges = [_edge((0, 0, 0, 0), true) for true in (True, False)]
        figure.legend(edges, kinds, loc="upper right", ncols=2, frameon=False, fontsize=9)
    return save_figure(figure, path)


@dataclass(frozen=True)
class _Cell:
    """The square of side 1 that a picture fills with its longer side, at its middle."""

    axes: Any
    left: float
    top: float
    width: int  # of the picture, pixels
    height: int

    def draw(self, pixels: Any, title: str) -> None:
        left, right = self.across(0), self.across(self.width)
        top, bottom = self.down(0), self.down(self.height)
        self.axes.imshow(pixels, extent=(left, right, bottom, top), aspect="equal")
        lines = "\n".join(shorten(line, _TITLE) for line in title.splitlines())
        self.axes.text(left, top - _GAP / 8, lines, fontsize=9, va="bottom")

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        """Writes at a pixel of the picture; what would be outside the picture is cut off."""
        written = self.axes.text(self.across(x), self.down(y), text, **style)
        corner = self.across(0), self.down(0)
        width, height = self.across(self.width) - corner[0], self.down(self.height) - corner[1]
        written.set_clip_path(_rectangle(corner, width, height, transform=self.axes.transData))

    def across(self, x: float) -> float:
        """Returns where a column of pixels is in the figure; columns outside the picture are at its edge."""
        return self.left + self._place(x, self.width)

    def down(self, y: float) -> float:
        """Returns where a row of pixels is in the figure."""
        return self.top + self._place(y, self.height)

    def _place(self, pixel: float, side: int) -> float:
        longer = max(self.width, self.height)
        return (min(max(pixel, 0), side) + (longer - side) / 2) / longer


def _draw_box(cell: _Cell, box: DrawnBox, scale: float) -> None:
    """Draws a box with its label: above a true box, below a prediction; inside where the picture has no room."""
    left, top, right, bottom = (corner * scale for corner in box.corners)
    edge = _edge((cell.across(left), cell.down(top), cell.across(right), cell.down(bottom)), box.true)
    cell.axes.add_patch(edge)
    room = _TEXT_HEIGHT * cell.height
    if box.true:
        place, side = top, "bottom" if top > room else "top"
    else:
        place, side = bottom, "top" if bottom < cell.height - room else "bottom"
    label = {"facecolor": "k", "alpha": 0.6, "pad": 1, "lw": 0}
    cell.write(left, place, drawable(box.text), va=side, color=edge.get_edgecolor(), fontsize=7, bbox=label)


def _edge(corners: tuple[float, float, float, float], true: bool) -> Rectangle:
    left, top, right, bottom = corners
    colour, style = ("#00c800", "-") if true else ("#ff2020", "--")
    return _rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, ls=style, lw=1.5)


def _rectangle(corner: tuple[float, float], width: float, height: float, **style: Any) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, **style)
