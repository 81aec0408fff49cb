"""Draws a small curve as SVG on the server, for pages without JavaScript and for tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from mitorch_service.insights.thinning import thin

_WIDTH, _HEIGHT, _EDGE = 300.0, 80.0, 4.0


def sparkline(title: str, x: Sequence[float], y: Sequence[float | None]) -> Markup:
    """The curve in its own range; nothing where it has fewer than two finite values."""
    kept = thin(x, y, 200) if x else []
    points = [(x[i], value) for i in kept if (value := y[i]) is not None and math.isfinite(value)]
    if len(points) < 2:
        return Markup("")
    left, right = points[0][0], points[-1][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    places = " ".join(
        f"{_EDGE + (_WIDTH - 2 * _EDGE) * (at - left) / ((right - left) or 1):.1f},"
        f"{_HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - low) / ((high - low) or 1):.1f}"
        for at, value in points
    )
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline points="{}"/></svg>'
    ).format(int(_WIDTH), int(_HEIGHT), title, places)
