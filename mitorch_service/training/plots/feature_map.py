"""Draws images as points, near to each other where they look alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mitorch_service.training.plots.canvas import COLOURS, new_figure, save_figure, shorten, shorten_path

_MARKERS = "osD^v"  # after each round of the colours
_MOST_NAMED = 20  # in a legend
_SPLIT = 80
_PARTS = {"train": "#c8c8c8", "val": "#dc3912", "test": "#3366cc"}


def draw_feature_map(places: Any, colours: Mapping[str, Sequence[str]], name: str, path: Path) -> Path:
    """Draws one chart for each of `colours`, such as the cluster of each point; returns the path of the PNG.

    `places`: (N, 2). Parts are drawn in their order, so that val lies on top of train.
    """
    figure = new_figure(6.2 * len(colours), 5.6)
    charts = figure.subplots(1, len(colours), squeeze=False)[0]
    for axes, (what, values) in zip(charts, colours.items(), strict=True):
        axes.set_title(f"by {what}", loc="left", fontsize=10)
        axes.set(xticks=[], yticks=[])
        counts = Counter(values)
        ordered = [one for one in _PARTS if one in counts] if what == "part" else sorted(counts, key=_number)
        for number, value in enumerate(ordered):
            at = [index for index, one in enumerate(values) if one == value]
            colour = _PARTS.get(value) if what == "part" else COLOURS[number % len(COLOURS)]
            marker = _MARKERS[number // len(COLOURS) % len(_MARKERS)]
            label = f"{shorten(value)} ({len(at)})" if number < _MOST_NAMED else None
            axes.scatter(places[at, 0], places[at, 1], s=9, color=colour, marker=marker, label=label, linewidths=0)
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=5, frameon=False, markerscale=2)
    figure.suptitle(
        f"{shorten_path(name, _SPLIT)}: what looks alike lies together (t-SNE)", fontsize=10, x=0.01, ha="left"
    )
    return save_figure(figure, path)


def _number(text: str) -> tuple[int, str]:
    return (int(text) if text.isdecimal() else 0), text
