"""The Pareto front as it grows: what ended since is merged into what is known. Needs no numpy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mitorch_service.models.objectives import Direction
from mitorch_service.models.pareto_front import FrontTrial

MOST = 100  # trials of a front that are kept

Losses = tuple[float, ...]


def merged(
    front: Sequence[FrontTrial], more: Iterable[FrontTrial], directions: Sequence[Direction], most: int = MOST
) -> list[FrontTrial]:
    """The front of both together, by the first objective, the best first; a trial that is in both counts once. Of more
    than `most` that do not dominate each other those go that have the least room around them (the crowding distance of
    NSGA-II), never the best in an objective: what is kept is then still a front, but may hold trials that only one of
    those that went dominates."""
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
    """Whether `one` is at most as high everywhere and lower somewhere."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _losses(trial: FrontTrial, directions: Sequence[Direction]) -> Losses:
    pairs = zip(trial.values, directions, strict=True)
    return tuple(value if direction == "minimize" else -value for value, direction in pairs)


def _most_crowded(kept: dict[int, Losses]) -> int:
    """Of equally crowded ones the newest."""
    room = dict.fromkeys(kept, 0.0)
    for column in range(len(next(iter(kept.values())))):
        order = sorted(kept, key=lambda number: (kept[number][column], number))
        span = kept[order[-1]][column] - kept[order[0]][column] or 1.0
        room[order[0]] = room[order[-1]] = math.inf
        for before, number, after in zip(order, order[1:], order[2:], strict=False):
            room[number] += (kept[after][column] - kept[before][column]) / span
    return min(room, key=lambda number: (room[number], -number))
