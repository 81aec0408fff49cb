"""Draws how many of something have which status, as one small bar."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

_ORDER = ("completed", "pruned", "paused", "failed", "diverged", "canceled", "running", "queued", "new")
_WIDTH, _HEIGHT = 160.0, 8


def status_bar(counts: Mapping[str, int], planned: int = 0) -> Markup:
    """A part for each status, in a fixed order; what is planned beyond them is left empty."""
    known = {status: counts[status] for status in _ORDER if counts.get(status)}
    whole = max(sum(known.values()), planned)
    if not whole:
        return Markup("")
    x, parts = 0.0, []
    for status, count in known.items():
        width = count / whole * _WIDTH
        parts.append(
            Markup('<rect class="is-{}" x="{}" y="0" width="{}" height="{}"/>').format(
                status, f"{x:.2f}", f"{max(width - 0.6, 0.6):.2f}", _HEIGHT
            )
        )
        x += width
    label = ", ".join(f"{count:,} {status}" for status, count in known.items()) or "no trial yet"
    return Markup(
        '<svg class="status-bar" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>"
    ).format(int(_WIDTH), _HEIGHT, label, label, Markup("").join(parts))
