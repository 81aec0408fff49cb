"""Draws the trials of a search on their clusters over time, and the time in which nothing ran, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from markupsafe import Markup

from mitorch_service.insights.search.trial_timeline import Lanes, Timeline
from mitorch_service.viewer.pages.templates import clean, exact
from mitorch_service.wording.elapsed import duration_text

Place = Callable[[datetime], float]  # pixels from the left

_WIDTH, _LEFT = 1240.0, 120.0
_LANE, _MOST_LANES = 14, 24
_AREA = 60
_BAR = (
    '<a href="{}" tabindex="-1"><rect class="bar is-{}" x="{}" y="{}" width="{}" height="{}" rx="2">'
    "<title>{}</title></rect></a>"
)
_GAP = 10


def trial_lanes(timeline: Timeline, ids: Mapping[int, str]) -> Markup:
    """Bars in lanes while there are few; else how many ran at a time. Shaded: nothing ran on any cluster."""
    whole = (timeline.end - timeline.start).total_seconds() or 1.0

    def at(time: datetime) -> float:
        return _LEFT + (time - timeline.start).total_seconds() / whole * (_WIDTH - _LEFT)

    parts, y = [], 4
    for lanes in timeline.clusters:
        drawn, height = _drawn(lanes, at, y, ids)
        text = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            _LEFT - 10, y + 11, clean(lanes.cluster[:18])
        )
        parts += [text, drawn]
        y += height + _GAP
    gaps = Markup("").join(
        Markup('<rect class="idle" x="{}" y="0" width="{}" height="{}"><title>{}</title></rect>').format(
            f"{at(start):.1f}",
            f"{max(at(end) - at(start), 1):.1f}",
            y,
            f"nothing ran for {duration_text(end - start)}, from {exact(start)}",
        )
        for start, end in timeline.gaps
    )
    label = f"Trials from {exact(timeline.start)} to {exact(timeline.end)}; idle for {duration_text(timeline.idle)}"
    return Markup('<svg class="plot-svg lanes" viewBox="0 0 {} {}" role="group" aria-label="{}">{}{}{}</svg>').format(
        int(_WIDTH), y + 18, label, gaps, Markup("").join(parts), _ends(timeline, y)
    )


def _drawn(lanes: Lanes, at: Place, y: int, ids: Mapping[int, str]) -> tuple[Markup, int]:
    if not lanes.bars or lanes.lanes > _MOST_LANES:
        return _area(lanes, at, y), _AREA
    bars = Markup("").join(
        Markup(_BAR).format(  # noqa: S704 (constants; what is put in is escaped)
            f"/trainings/{ids[bar.number]}", bar.outcome, f"{at(bar.start):.1f}", y + _LANE * bar.lane,
            f"{max(at(bar.end) - at(bar.start) - 0.5, 1.5):.1f}", _LANE - 3,
            f"trial {bar.number}: {bar.outcome}, {duration_text(bar.end - bar.start)} from {exact(bar.start)}",
        )
        for bar in lanes.bars
    )  # fmt: skip
    return bars, _LANE * lanes.lanes


def _area(lanes: Lanes, at: Place, y: int) -> Markup:
    """How many ran at a time, as an area."""
    most = max(running for _, running in lanes.steps) or 1
    path = f"M{at(lanes.steps[0][0]):.1f} {y + _AREA}"
    for time, running in lanes.steps:
        path += f"H{at(time):.1f}V{y + _AREA * (1 - running / most):.1f}"
    title = f"{lanes.cluster}: {lanes.attempts} attempts, up to {most} at a time"
    return Markup(
        '<path class="area" d="{}"><title>{}</title></path>'
        '<text class="value" x="{}" y="{}" text-anchor="end">{}</text>'
    ).format(path, clean(title), _LEFT - 10, y + 27, f"up to {most}")


def _ends(timeline: Timeline, y: int) -> Markup:
    text = '<text x="{}" y="{}" text-anchor="{}">{}</text>'
    return Markup(text + text).format(  # noqa: S704 (constants; what is put in is escaped)
        _LEFT, y + 13, "start", exact(timeline.start), int(_WIDTH), y + 13, "end", exact(timeline.end)
    )
