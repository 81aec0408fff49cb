"""Draws the training curves: losses, metrics and learning rate by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.models.result import EpochResult
from mitorch_service.training.plots.canvas import COLOURS, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COUNTS = ("_positives", "_negatives")
Line = tuple[str, list[float]]


def draw_curves(results: Sequence[EpochResult], path: Path) -> Path:
    """Draws three charts, without the metrics that are counts; returns the path of the PNG."""
    figure = new_figure(9, 10)
    losses, metrics, rates = figure.subplots(3, 1, sharex=True, height_ratios=[4, 4, 2])
    epochs = [result.epoch for result in results]
    _draw(losses, epochs, _losses(results), "loss")
    _draw(metrics, epochs, _metrics(results), "validation metrics")
    metrics.set_ylim(-0.02, 1.02)
    _draw(rates, epochs, [("learning rate", _known(one.learning_rate for one in results))], "learning rate")
    rates.set_xlabel("epoch")
    rates.xaxis.get_major_locator().set_params(integer=True)
    return save_figure(figure, path)


def _losses(results: Sequence[EpochResult]) -> list[Line]:
    return [("train", _known(one.train_loss for one in results)), ("val", _known(one.val_loss for one in results))]


def _known(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _metrics(results: Sequence[EpochResult]) -> list[Line]:
    names = dict.fromkeys(name for one in results for name in one.metrics)
    lines = [(name, [one.metrics.get(name, math.nan) for one in results]) for name in names]
    return [(name, values) for name, values in lines if not name.endswith(_COUNTS)]


def _draw(axes: Axes, epochs: list[int], lines: list[Line], title: str) -> None:
    marker = "o" if len(epochs) < 30 else ""
    for place, (name, values) in enumerate(lines):
        axes.plot(epochs, values, marker=marker, ms=3, lw=1.5, label=name, color=COLOURS[place % len(COLOURS)])
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
