"""Draws precision, recall and F1 by confidence as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitorch_service.training.plots.canvas import new_figure, save_figure, shorten, shorten_path

_RATES = ("precision", "recall", "F1")
_SPLIT = 80  # characters of a split's name


@dataclass(frozen=True)
class Panel:
    """A row of three heat maps."""

    label: str  # of the vertical axis
    names: Sequence[str]  # of its rows
    rates: Sequence[NDArray[np.float64]]  # precision, recall and F1, each (rows, confidences), 0 to 1


def draw_threshold_map(
    panels: Sequence[Panel], confidences: Sequence[float], threshold: float, title: str, split: str, path: Path
) -> Path:
    """Draws the panels below each other, with a line at the threshold; returns the path of the PNG."""
    heights = [0.9 + 0.28 * len(panel.names) for panel in panels]
    figure = new_figure(12, 1.1 + sum(heights))
    grid = figure.subplots(len(panels), len(_RATES), squeeze=False, height_ratios=heights, sharex=True)
    step = confidences[1] - confidences[0]
    across = (confidences[0] - step / 2, confidences[-1] + step / 2)
    for row, panel in zip(grid, panels, strict=True):
        for axes, name, values in zip(row, _RATES, panel.rates, strict=True):
            extent = (*across, len(panel.names) - 0.5, -0.5)
            image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto", extent=extent)
            axes.axvline(threshold, color="w", lw=1, ls="--")
            axes.set_title(name, fontsize=10)
            axes.set_yticks(range(len(panel.names)), [shorten(one) for one in panel.names], fontsize=8)
            axes.tick_params(labelleft=axes is row[0])
        row[0].set_ylabel(panel.label)
    for axes in grid[-1]:
        axes.set_xlabel("confidence")
    figure.suptitle(f"{title}\n{shorten_path(split, _SPLIT)}", x=0.01, ha="left", fontsize=10)
    figure.colorbar(image, ax=grid, shrink=min(1.0, 2.5 / sum(heights) + 0.4))
    return save_figure(figure, path)
