"""Draws how many trainings of a group are in each status, as SVG on the server."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

_ORDER = ("completed", "pruned", "paused", "failed", "diverged", "canceled", "running", "queued", "new")
_WIDTH, _HEIGHT = 200.0, 10


def status_bar(counts: Mapping[str, int], share: float = 1.0) -> Markup:
    """One bar, a part for each status, what has ended first; as long as `share` (0 to 1) of the whole width."""
    total = sum(counts.values())
    if not total:
        return Markup("")
    bars, x = Markup(""), 0.0
    label = ", ".join(f"{counts[status]:,} {status}" for status in _ORDER if counts.get(status))
    for status in _ORDER:
        width = _WIDTH * share * counts.get(status, 0) / total
        if width:
            part = Markup('<rect class="is-{}" x="{}" y="0" width="{}" height="{}"/>')
            bars += part.format(status, f"{x:.2f}", f"{max(width, 1.0):.2f}", _HEIGHT)
        x += width
    return Markup(
        '<svg class="status-bar" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>"
    ).format(int(_WIDTH), _HEIGHT, label, label, bars)
