"""Ages that people write, such as ``180d``."""

from __future__ import annotations

import re
from datetime import timedelta

_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24}
_LONGEST = timedelta(days=36_500)


def parse_age(text: str) -> timedelta:
    """Parses a whole number and h, d, w or m (hours, days, weeks, months of 30 days). Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,6})([hdwm])", text.strip().lower())
    if match is None:
        raise ValueError(
            "write a whole number and h (hours), d (days), w (weeks) or m (months of 30 days), such as 180d"
        )
    age = timedelta(hours=int(match[1]) * _HOURS[match[2]])
    if age > _LONGEST:
        raise ValueError("that is more than a hundred years")
    return age
