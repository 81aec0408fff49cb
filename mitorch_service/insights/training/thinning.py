"""Thins curves to what a chart can show, without losing what people look for. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def thin(x: Sequence[float], y: Sequence[float | None], most: int) -> list[int]:
    """Returns the indices, ascending, of at most `most` points (4 or more) that stand for all.

    The curve is cut into columns as wide as a pixel, and of each the lowest and the highest point are kept, so that no
    peak is lost (min-max aggregation: Jugel et al., M4, VLDB 2014, without the first and last point of each column).
    The first and the last point, and each gap (a value that is missing or not finite), are kept too.
    """
    count = len(x)
    if count <= most:
        return list(range(count))
    columns = max(1, (most - 2) // 3)  # of each the lowest, the highest and one gap
    low, high = x[0], x[-1]
    width = (high - low) / columns or 1.0
    kept = {0, count - 1}
    lowest: dict[int, int] = {}
    highest: dict[int, int] = {}
    gaps: dict[int, int] = {}
    for index, value in enumerate(y):
        column = min(columns - 1, int((x[index] - low) / width))
        if value is None or not math.isfinite(value):
            gaps.setdefault(column, index)
            continue
        if column not in lowest or value < _at(y, lowest[column]):
            lowest[column] = index
        if column not in highest or value > _at(y, highest[column]):
            highest[column] = index
    return sorted(kept.union(lowest.values(), highest.values(), gaps.values()))


def _at(y: Sequence[float | None], index: int) -> float:
    value = y[index]
    return math.nan if value is None else value
