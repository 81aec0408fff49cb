"""Writes what was predicted for each image as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_COLUMNS = ("file", "label", "prediction", "probability", "correct")
_SIDES = ("x_min", "y_min", "x_max", "y_max")
_BOX_COLUMNS = ("iou", *_SIDES, *(f"true_{side}" for side in _SIDES))

Corners = Sequence[float]  # x_min, y_min, x_max, y_max, in pixels of the upright image


@dataclass(frozen=True)
class Row:
    """A class of an image that is true, predicted, or both; in detection a true box, a detection, or both."""

    label: str  # the true class; empty: none
    prediction: str  # empty: none
    probability: float | None  # of the prediction; of a missed class its score; None if there is none
    correct: bool
    iou: float | None = None  # of the two boxes
    box: Corners | None = None
    true_box: Corners | None = None


def write_predictions(rows: Iterable[tuple[str, Row]], path: Path, *, boxes: bool = False) -> Path:
    """Writes a header and a line for each row, with its image's file; returns the path. `boxes` adds their columns."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS + (_BOX_COLUMNS if boxes else ()))
        for name, row in rows:
            values: list[object] = [name, row.label, row.prediction, _number(row.probability), int(row.correct)]
            if boxes:
                values += [_number(row.iou), *_corners(row.box), *_corners(row.true_box)]
            writer.writerow(values)
    return path


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _corners(corners: Corners | None) -> list[str]:
    return [""] * 4 if corners is None else [f"{value:.2f}" for value in corners]
