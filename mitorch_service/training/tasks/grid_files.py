"""Writes precision, recall and F1 by threshold: as JSON in the form of obdb, and as a heat map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mitorch_service.training.plots.threshold_map import Panel, draw_threshold_map
from mitorch_service.training.tasks.threshold_grid import CONFIDENCES, NO_CONDITION, Rates, ThresholdGrid

_WRITTEN = slice(4, None, 5)  # the confidences 0.05, 0.1, … 0.95
_MOST = 1000  # classes in the file, those with the most samples
_DRAWN = 20  # classes in the picture, those with the lowest F1
ALL = "(all)"  # the sum over the classes, in the JSON file and in the picture


def write_grid(grid: ThresholdGrid, classes: Sequence[str], split: str, folder: Path) -> list[Path]:
    """Writes ``class_metrics.json`` and ``thresholds.png``; returns their paths."""
    path = folder / "class_metrics.json"
    path.write_text(json.dumps(class_metrics(grid, classes)), encoding="utf-8")
    return [path, _draw(grid, classes, split, folder / "thresholds.png")]


def class_metrics(grid: ThresholdGrid, classes: Sequence[str]) -> dict[str, dict[str, dict[str, object]]]:
    """Returns what obdb's test_model.py writes (weed_training 3d08cf3, code/metrics.py): for each class TP, FP, FN,
    precision, recall and f1, by confidence and, in detection, by IoU, both as text; and the same of all classes."""
    frequent = np.sort(np.argsort(-grid.true, kind="stable")[:_MOST]).tolist()
    found = {classes[index]: _entry(_part(grid, index)) for index in frequent}
    overall = ALL
    while overall in found:
        overall = f"({overall})"
    return {**found, overall: _entry(grid.overall())}


def _part(grid: ThresholdGrid, index: int) -> ThresholdGrid:
    one = slice(index, index + 1)
    return ThresholdGrid(grid.right[one], grid.taken[one], grid.true[one], grid.ious)


def _entry(part: ThresholdGrid) -> dict[str, dict[str, object]]:
    right = part.right
    wrong, missed = part.taken[:, None] - right, part.true[:, None, None] - right
    values = (right, wrong, missed, part.precision(), part.recall(), part.f1())
    names = ("TP", "FP", "FN", "precision", "recall", "f1")
    return {name: _by_confidence(one[0], part.ious) for name, one in zip(names, values, strict=True)}


def _by_confidence(
    values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], ious: tuple[float, ...]
) -> dict[str, object]:
    columns = values[:, _WRITTEN].T.tolist()
    if ious == NO_CONDITION:
        return {str(confidence): one for confidence, (one,) in zip(CONFIDENCES[_WRITTEN], columns, strict=True)}
    names = [str(iou) for iou in ious]
    return {
        str(confidence): dict(zip(names, one, strict=True))
        for confidence, one in zip(CONFIDENCES[_WRITTEN], columns, strict=True)
    }


def _draw(grid: ThresholdGrid, classes: Sequence[str], split: str, path: Path) -> Path:
    """Draws each rate of all classes by IoU, then of each class at the first IoU."""
    overall = grid.overall()
    best, threshold = grid.best()
    shown = [index for index in np.argsort(grid.f1()[:, 0].max(1), kind="stable") if grid.true[index]][:_DRAWN]
    panels = []
    if grid.ious != NO_CONDITION:
        panels += [Panel("IoU", [str(iou) for iou in grid.ious], [one[0] for one in _rates(overall)])]
    rows = [
        np.concatenate([of_all[:, 0], of_each[shown, 0]])
        for of_all, of_each in zip(_rates(overall), _rates(grid), strict=True)
    ]
    panels.append(Panel("class", [ALL, *(classes[index] for index in shown)], rows))
    at = f" at IoU {grid.ious[0]}" if grid.ious != NO_CONDITION else ""
    of = f", the {len(shown)} lowest of {len(classes)} classes" if len(shown) == _DRAWN < len(classes) else ""
    title = f"by confidence{of}; best F1 of all{at}: {best:.3f} from confidence {threshold:.2f}"
    return draw_threshold_map(panels, CONFIDENCES, threshold, title, split, path)


def _rates(grid: ThresholdGrid) -> list[Rates]:
    return [grid.precision(), grid.recall(), grid.f1()]
