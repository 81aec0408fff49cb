"""Draws a contact sheet: pictures with captions and boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitorch_service.training.plots.canvas import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.patches import Rectangle

_COLUMNS = 4
_TEXT_HEIGHT = 0.06  # of a picture's


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


def draw_sheet(pictures: Sequence[tuple[Any, float, Picture]], path: Path) -> Path:
    """Draws the pictures and returns the path of the PNG.

    Each picture is pixels, uint8 (height, width, 3), their scale (pixels per pixel of the original image) and caption.
    """
    rows = math.ceil(len(pictures) / _COLUMNS)
    figure = new_figure(3 * _COLUMNS, 3.2 * rows)
    cells = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for cell in cells:
        cell.axis("off")
    for cell, (pixels, scale, picture) in zip(cells, pictures, strict=False):
        cell.imshow(pixels)
        cell.set_title(picture.title, fontsize=9, loc="left")
        for box in picture.boxes:
            _draw_box(cell, box, scale, len(pixels))
    if any(picture.boxes for _, _, picture in pictures):
        edges = [_edge((0, 0, 0, 0), true) for true in (True, False)]
        figure.legend(edges, ("true", "predicted"), loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return save_figure(figure, path)


def _draw_box(cell: Any, box: DrawnBox, scale: float, height: int) -> None:
    """Draws a box with its label: above a true box, below a prediction; inside where the picture has no room."""
    left, top, right, bottom = (corner * scale - 0.5 for corner in box.corners)
    edge = _edge((left, top, right, bottom), box.true)
    cell.add_patch(edge)
    room = _TEXT_HEIGHT * height
    if box.true:
        place, side = top, "bottom" if top > room else "top"
    else:
        place, side = bottom, "top" if bottom < height - room else "bottom"
    label = {"facecolor": "k", "alpha": 0.6, "pad": 1, "lw": 0}
    colour = edge.get_edgecolor()
    cell.text(max(left, 0), place, box.text, va=side, color=colour, fontsize=7, bbox=label, clip_on=True)


def _edge(corners: tuple[float, float, float, float], true: bool) -> Rectangle:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = corners
    colour, style = ("#00c800", "-") if true else ("#ff2020", "--")
    return Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, ls=style, lw=1.5)
