"""Draws precision, recall and F1 by confidence as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitorch_service.training.plots.canvas import new_figure, save_figure, shorten, shorten_path

_RATES = ("precision", "recall", "F1")
_TICKS = (0.1, 0.3, 0.5, 0.7, 0.9)
_GAP = 4  # columns between two maps
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
    """Draws the panels below each other, with a line at the threshold; returns the path of the PNG.

    The three maps of a panel are one picture with gaps: axes of their own would take matplotlib three times as long.
    """
    heights = [0.9 + 0.28 * len(panel.names) for panel in panels]
    figure = new_figure(12, 1.1 + sum(heights))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    apart = len(confidences) + _GAP
    ticks = np.searchsorted(confidences, _TICKS)
    for axes, panel in zip(grid, panels, strict=True):
        gap = np.full((len(panel.names), _GAP), np.nan)
        values = np.hstack([panel.rates[0], gap, panel.rates[1], gap, panel.rates[2]])
        image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        places = [place * apart + tick for place in range(len(_RATES)) for tick in ticks]
        axes.set_xticks(places, [f"{one:g}" for one in _TICKS] * len(_RATES), fontsize=8)
        axes.set_yticks(range(len(panel.names)), [shorten(one) for one in panel.names], fontsize=8)
        for place, name in enumerate(_RATES):
            axes.axvline(place * apart + np.searchsorted(confidences, threshold), color="w", lw=1, ls="--")
            middle = (place * apart + len(confidences) / 2) / values.shape[1]
            axes.text(middle, 1.02, name, transform=axes.transAxes, ha="center", va="bottom", fontsize=10)
        axes.set_ylabel(panel.label)
    grid[-1].set_xlabel("confidence")
    figure.suptitle(f"{title}\n{shorten_path(split, _SPLIT)}", x=0.01, ha="left", fontsize=10)
    figure.colorbar(image, ax=grid.tolist(), fraction=0.02, pad=0.01)
    return save_figure(figure, path)
