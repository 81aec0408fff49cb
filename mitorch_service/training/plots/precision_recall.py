"""Draws precision-recall curves, one line per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mitorch_service.training.plots.canvas import COLOURS, new_figure, save_figure, shorten, shorten_path

_MOST = 20  # lines: of more classes, those with the lowest average precision
_SPLIT = 80  # characters of a split's name
Curve = tuple[str, float, Sequence[float], Sequence[float]]  # class, average precision, recall, precision


def draw_precision_recall(curves: Sequence[Curve], title: str, split: str, path: Path) -> Path:
    """Draws each curve as steps, recall ascending; returns the path of the PNG."""
    shown = sorted(curves, key=lambda curve: curve[1])[:_MOST]
    figure = new_figure(9, 6)
    axes = figure.subplots()
    for place, (name, value, recall, precision) in enumerate(shown):
        style = ("-", "--")[place // len(COLOURS) % 2]
        label = f"{value:.3f}  {shorten(name)}"  # matplotlib leaves out a label that begins with an underscore
        axes.step(recall, precision, where="post", ls=style, lw=1.5, color=COLOURS[place % len(COLOURS)], label=label)
    more = f" ({_MOST} of {len(curves)} classes, the lowest)" if len(curves) > _MOST else ""
    axes.set_title(f"{title}{more}\n{shorten_path(split, _SPLIT)}", loc="left", fontsize=10)
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    axes.grid(alpha=0.3)
    if shown:
        axes.legend(title="average precision", loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return save_figure(figure, path)
