"""A sheet of pictures, each with a line of text and, where there are any, boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitorch_service.training.plots.canvas import new_figure, save_figure

_COLUMNS = 4


@dataclass(frozen=True)
class DrawnBox:
    """A box in pixels of the image."""

    corners: tuple[float, float, float, float]  # x_min, y_min, x_max, y_max
    text: str
    true: bool  # from the data set: drawn solid and green; else a prediction, dashed and red


@dataclass(frozen=True)
class Picture:
    """What is said of a picture."""

    title: str
    boxes: list[DrawnBox] = field(default_factory=list)


def draw_sheet(pictures: Sequence[tuple[Any, float, Picture]], path: Path) -> Path:
    """A PNG of the pictures (uint8 (height, width, 3), and their pixels per pixel of the image); the path again."""
    rows = math.ceil(len(pictures) / _COLUMNS)
    figure = new_figure(3 * _COLUMNS, 3.2 * rows)
    cells = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for cell in cells:
        cell.axis("off")
    for cell, (pixels, scale, picture) in zip(cells, pictures, strict=False):
        cell.imshow(pixels)
        cell.set_title(picture.title, fontsize=9, loc="left")
        for box in picture.boxes:
            _draw_box(cell, box, scale)
    return save_figure(figure, path)


def _draw_box(cell: Any, box: DrawnBox, scale: float) -> None:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = (corner * scale - 0.5 for corner in box.corners)
    colour, style = ("#00c800", "-") if box.true else ("#ff2020", "--")
    edge = Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, ls=style, lw=1.5)
    cell.add_patch(edge)
    place = (left, top, "bottom") if box.true else (left, bottom, "top")
    label = {"facecolor": "k", "alpha": 0.6, "pad": 1, "lw": 0}
    cell.text(*place[:2], box.text, va=place[2], color=colour, fontsize=7, bbox=label, clip_on=True)
