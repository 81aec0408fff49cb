"""Draws the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitorch_service.training.plots.canvas import new_figure, save_figure, shorten, shorten_path

_MOST = 40  # classes: of more, only the most confused are drawn
_WITH_NUMBERS = 20
_SPLIT = 40  # characters of a split's name


def draw_confusion(counts: NDArray[np.int64], classes: Sequence[str], split: str, path: Path) -> Path:
    """Draws counts (K, K), one row per true class, coloured by the fraction of the row; returns the path of the PNG."""
    shown = _shown(counts)
    part, names = counts[np.ix_(shown, shown)], [shorten(classes[index]) for index in shown]
    fraction = part / np.maximum(counts[shown].sum(axis=1, keepdims=True), 1)
    side = min(16.0, 3.5 + 0.42 * len(shown))
    figure = new_figure(side + 1, side)
    axes = figure.subplots()
    image = axes.imshow(fraction, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 5 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    more = f" ({len(shown)} of {len(counts)} classes, the most confused)" if len(shown) < len(counts) else ""
    axes.set_title(f"confusion matrix{more}\n{shorten_path(split, _SPLIT)}", loc="left", fontsize=10)
    if len(shown) <= _WITH_NUMBERS:
        for row, column in np.ndindex(*part.shape):
            dark = fraction[row, column] > 0.5
            axes.text(
                column, row, str(part[row, column]), ha="center", va="center", fontsize=8, color="w" if dark else "k"
            )
    figure.colorbar(image, ax=axes, shrink=0.7, label="part of the true class")
    return save_figure(figure, path)


def _shown(counts: NDArray[np.int64]) -> list[int]:
    if len(counts) <= _MOST:
        return list(range(len(counts)))
    off = counts.copy()
    np.fill_diagonal(off, 0)
    confused = off.sum(axis=0) + off.sum(axis=1)
    return sorted(np.argsort(-confused, kind="stable")[:_MOST].tolist())
