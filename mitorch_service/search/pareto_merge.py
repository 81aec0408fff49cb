"""Merges trials into a Pareto front, without numpy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.search.pareto_front import FrontTrial

MOST = 100  # trials of a front

Losses = tuple[float, ...]


def merged(
    front: Sequence[FrontTrial], more: Iterable[FrontTrial], directions: Sequence[Direction], most: int = MOST
) -> list[FrontTrial]:
    """Returns the front of `front` and `more`, the best in the first objective first; a trial in both counts once.

    If more than `most` trials do not dominate each other, those with the smallest crowding distance (NSGA-II, Deb et
    al. 2002) are dropped, never the best in an objective. The rest is still a front, but may hold trials that only a
    dropped one dominates.
    """
    kept = {trial.number: _losses(trial, directions) for trial in front}
    trials = {trial.number: trial for trial in front}
    for trial in more:
        losses = _losses(trial, directions)
        if trial.number in kept or any(dominates(other, losses) for other in kept.values()):
            continue
        trials[trial.number] = trial
        kept = {number: other for number, other in kept.items() if not dominates(losses, other)} | {
            trial.number: losses
        }
        if len(kept) > most:
            del kept[_most_crowded(kept)]
    return [trials[number] for number in sorted(kept, key=lambda number: (kept[number], number))]


def dominates(one: Losses, other: Losses) -> bool:
    """Whether `one` is nowhere higher, and lower in at least one objective."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _losses(trial: FrontTrial, directions: Sequence[Direction]) -> Losses:
    pairs = zip(trial.values, directions, strict=True)
    return tuple(value if direction == "minimize" else -value for value, direction in pairs)


def _most_crowded(kept: dict[int, Losses]) -> int:
    """The trial with the smallest crowding distance; of equal ones the newest."""
    distance = dict.fromkeys(kept, 0.0)
    for column in range(len(next(iter(kept.values())))):
        order = sorted(kept, key=lambda number: (kept[number][column], number))
        span = _half_gap(kept[order[0]][column], kept[order[-1]][column]) or 1.0
        distance[order[0]] = distance[order[-1]] = math.inf
        for before, number, after in zip(order, order[1:], order[2:], strict=False):
            distance[number] += _half_gap(kept[before][column], kept[after][column]) / span
    return min(distance, key=lambda number: (distance[number], -number))


def _half_gap(low: float, high: float) -> float:
    """Half of the difference, which is finite for all finite numbers."""
    return high / 2 - low / 2
