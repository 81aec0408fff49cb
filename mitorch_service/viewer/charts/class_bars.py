"""Draws the count of a class beside that of the largest one, as SVG."""

from __future__ import annotations

from markupsafe import Markup

_WIDTH = 200.0


def class_bar(count: int, most: int) -> Markup:
    """A bar as long as its share of the largest class."""
    width = _WIDTH * count / most if most else 0.0
    return Markup(
        '<svg viewBox="0 0 200 12" preserveAspectRatio="none" aria-hidden="true"><rect width="{}" height="12"/></svg>'
    ).format(f"{max(width, 1.0 if count else 0.0):.1f}")
