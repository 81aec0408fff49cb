"""Draws a small curve as SVG on the server, for pages without JavaScript and for tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from mitorch_service.insights.training.thinning import thin
from mitorch_service.viewer.pages.templates import clean

_WIDTH, _HEIGHT, _EDGE = 300.0, 80.0, 4.0


Points = Sequence[tuple[float, float]]


def sparkline(title: str, x: Sequence[float], *lines: Sequence[float | None]) -> Markup:
    """The curves in their common range; nothing where none has two finite values."""
    drawn = [points for y in lines if len(points := _points(x, y)) > 1]
    if not drawn:
        return Markup("")
    places, values = zip(*(point for points in drawn for point in points), strict=True)
    left, right, low, high = min(places), max(places), min(values), max(values)
    shapes = Markup("").join(
        Markup('<polyline points="{}"/>').format(
            " ".join(
                f"{_EDGE + (_WIDTH - 2 * _EDGE) * (at - left) / ((right - left) or 1):.1f},"
                f"{_HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - low) / ((high - low) or 1):.1f}"
                for at, value in points
            )
        )
        for points in drawn
    )
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(int(_WIDTH), int(_HEIGHT), clean(title), shapes)


def _points(x: Sequence[float], y: Sequence[float | None]) -> Points:
    kept = thin(x, y, 200) if x else []
    return [(x[i], value) for i in kept if (value := y[i]) is not None and math.isfinite(value)]
