"""Draws what attempts did with their time, as SVG on the server."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mitorch_service.insights.training.attempt_timeline import Span
from mitorch_service.viewer.pages.templates import exact
from mitorch_service.wording.elapsed import duration_text

_WIDTH, _HEIGHT = 1000.0, 26
_SHOWN = 300  # spans


def timeline_bar(spans: Sequence[Span]) -> Markup:
    """One bar from the first to the last span, each with its phase, length and time as a title."""
    if not spans:
        return Markup("")
    begin, end = spans[0].start, spans[-1].end
    whole = (end - begin).total_seconds() or 1.0
    bars = Markup("").join(_bar(span, begin.timestamp(), whole) for span in spans[-_SHOWN:])
    label = f"Time from {exact(begin)} to {exact(end)}"
    return Markup(
        '<svg class="timeline" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(int(_WIDTH), _HEIGHT, label, bars)


def _bar(span: Span, begin: float, whole: float) -> Markup:
    x = (span.start.timestamp() - begin) / whole * _WIDTH
    width = max(1.5, span.length.total_seconds() / whole * _WIDTH)
    of = "" if span.attempt is None else f"attempt {span.attempt}, "
    title = f"{of}{span.phase} {duration_text(span.length)}, from {exact(span.start)}"
    return Markup('<rect class="phase-{}" x="{}" y="0" width="{}" height="{}"><title>{}</title></rect>').format(
        span.phase, f"{x:.2f}", f"{width:.2f}", _HEIGHT, title
    )
