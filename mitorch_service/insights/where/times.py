"""Times that a filter compares with: a day, a minute, or how long ago."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mitorch_service.models.durations import parse_age

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Span:
    """A time as precise as it was written: from `begin` to before `end`. An age is one moment."""

    begin: datetime
    end: datetime


def parse_time(text: str, now: datetime) -> Span:
    """Parses ``2026-11-01``, ``2026-11-01T12:00`` (UTC unless it names another zone) or an age such as ``7d``. Raises
    ValueError."""
    if _DAY.fullmatch(text):
        begin = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return Span(begin, begin + timedelta(days=1))
    if "-" in text:
        begin = datetime.fromisoformat(text)
        begin = begin if begin.tzinfo is not None else begin.replace(tzinfo=UTC)
        precision = timedelta(seconds=1) if text.count(":") > 1 else timedelta(minutes=1)
        return Span(begin, begin + (timedelta(milliseconds=1) if begin.microsecond else precision))
    moment = now - parse_age(text)
    return Span(moment, moment)
