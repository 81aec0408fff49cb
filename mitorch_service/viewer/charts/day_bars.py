"""A bar for each day, as SVG that needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

_WIDTH, _HEIGHT, _BASE = 640.0, 150.0, 130.0
_MOST_LABELS = 8


def day_bars(days: Sequence[tuple[date, float]], unit: str) -> Markup:
    """Draws the values of days, which follow each other; the value stands on hover and is read aloud."""
    most = max((value for _, value in days), default=0.0) or 1.0
    step = _WIDTH / max(1, len(days))
    every = max(1, -(-len(days) // _MOST_LABELS))
    parts = [_bar(index, step, day, value, most, unit) for index, (day, value) in enumerate(days)]
    labels = [_label(index, step, day) for index, (day, _) in enumerate(days) if (len(days) - 1 - index) % every == 0]
    total = sum(value for _, value in days)
    title = f"{days[0][0]} to {days[-1][0]}: {total:,.2f}{unit} in all, at most {most:,.2f}{unit} a day" if days else ""
    drawn = Markup("").join([*parts, *labels])
    return Markup(
        '<svg class="day-bars" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
        '<line x1="0" x2="{width}" y1="{base}" y2="{base}"/>{drawn}</svg>'
    ).format(width=int(_WIDTH), height=int(_HEIGHT), base=int(_BASE), title=title, drawn=drawn)


def _bar(index: int, step: float, day: date, value: float, most: float, unit: str) -> Markup:
    height = max(1.5, (_BASE - 8) * value / most) if value else 0.0
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}: {}{}</title></rect>').format(
        f"{index * step + step * 0.15:.1f}",
        f"{_BASE - height:.1f}",
        f"{step * 0.7:.1f}",
        f"{height:.1f}",
        day.isoformat(),
        f"{value:,.2f}",
        unit,
    )


def _label(index: int, step: float, day: date) -> Markup:
    middle = (index + 0.5) * step
    at, anchor = (_WIDTH, "end") if middle > _WIDTH - 24 else (0.0, "start") if middle < 24 else (middle, "middle")
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
        f"{at:.1f}", int(_HEIGHT) - 4, anchor, f"{day:%b} {day.day}"
    )
