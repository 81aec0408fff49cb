"""Formats lengths of time."""

from __future__ import annotations

from datetime import timedelta


def duration_text(time: timedelta | None) -> str | None:
    """``40 s``, ``12 min``, ``3 h 05 min`` or ``2 d 04 h``."""
    if time is None:
        return None
    seconds = round(time.total_seconds())
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds} s"
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24:02} h"


def seconds_text(seconds: float) -> str:
    """Returns the same for seconds."""
    return str(duration_text(timedelta(seconds=seconds)))
