"""How far into the queue a pass looks."""

from __future__ import annotations

from collections.abc import Iterable

from mitorch_service.controller.plan.cluster_backoff import setbacks
from mitorch_service.models.training import TrainingRow

HEAD_A_PASS = 100  # trainings at the head of the queue that a pass reads, at least, if some need certain clusters
MOST_A_PASS = 3000  # that it reads while nodes are free that none of those before can use
_HEAD_BY_ROOM = 4  # or this many times the free nodes, if that is more


def far_limit(room: int, least: int = HEAD_A_PASS) -> int:
    """Returns how many trainings are read where some cannot go to every cluster; `room`: the free nodes."""
    return max(least, _HEAD_BY_ROOM * room)


def some_are_bound(rows: Iterable[TrainingRow]) -> bool:
    """Whether some cannot go to every cluster."""
    return any(row.resources is not None or (row.attempts and setbacks(row)) for row in rows)


def limit_of_share(room: int, shares: int, queue: Iterable[TrainingRow]) -> int:
    """Returns how many trainings of each share are read, where there are so many shares."""
    limit = far_limit(room) if some_are_bound(queue) else room + 1
    return max(1, min(limit, MOST_A_PASS // max(1, shares)))
