"""Scales of axes: linear, logarithmic, or one place for each category. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mitorch_service.insights.search.search_columns import Column
from mitorch_service.viewer.pages.templates import number

_LARGEST = 1e300  # differences of larger numbers are not finite
_TICKS = 5
_MOST_LABELS = 12  # of categories
_LABEL = 16  # characters
_ROOM = 0.04  # of the range, beyond its ends
_BAD, _FAR = 0.03, 5.0

Worse = Literal["high", "low"]


@dataclass(frozen=True)
class Scale:
    """Maps values to places from 0 to 1; what lies beyond is put at the edge."""

    low: float
    high: float
    log: bool = False
    options: Sequence[str] = ()

    def place(self, value: float) -> float:
        """Returns 0 to 1."""
        if self.options:
            return (value + 0.5) / len(self.options)
        value = min(max(value, self.low), self.high)
        if self.low == self.high:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and their labels."""
        if self.options:
            step = -(-len(self.options) // _MOST_LABELS)
            return [(self.place(i), short(self.options[i])) for i in range(0, len(self.options), step)]
        if self.low == self.high:
            return [(0.5, tick_text(self.low))]
        values = _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)
        return [(self.place(value), tick_text(value)) for value in values]


def scale_of(column: Column) -> Scale:
    """The scale of a parameter: its whole range, so that its edges are seen."""
    return Scale(column.low, column.high, column.log, column.options)


def value_scale(values: Iterable[float], worse: Worse | None = None) -> Scale:
    """A linear scale for measured values, with some room. `worse`: the side of bad values, of which a few, such as
    penalties, lie beyond the edge where they would hide the others: the worst 3 %, and those that are five times as far
    from the best as the median is."""
    ordered = sorted(min(max(value, -_LARGEST), _LARGEST) for value in values if math.isfinite(value))
    if not ordered:
        return Scale(0.0, 1.0)
    low, high = ordered[0], ordered[-1]
    beyond, median = int(len(ordered) * _BAD), ordered[len(ordered) // 2]
    if worse == "high" and median > low:
        high = min(ordered[-1 - beyond], low + _FAR * (median - low))
    elif worse == "low" and median < high:
        low = max(ordered[beyond], high - _FAR * (high - median))
    room = (high - low) * _ROOM or abs(high) * _ROOM or 1.0
    return Scale(low - room, high + room)


def short(text: str) -> str:
    """A label of at most 16 characters."""
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"


def tick_text(value: float) -> str:
    """A figure without digits that say nothing."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return number(round(value, 10), 4) if not float(value).is_integer() else f"{value:.0f}"


def _linear_ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [(first + index) * step for index in range(math.floor(high / step) - first + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; of a range below two decades also 2 and 5 times them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    step = max(1, (last - first) // (_TICKS + 1))
    values = [factor * 10.0**power for power in range(first, last + 1, step) for factor in factors]
    return [value for value in values if low <= value <= high]
