"""Several objectives at once: who dominates whom. All losses: lower is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def pareto_front(losses: Matrix) -> list[int]:
    """The rows that no other row dominates (at most as high in all columns, lower in one), by the first column. In time
    rows x front: the first row in lexicographic order is always of the front, and takes away what it dominates."""
    order = np.lexsort(losses.T[::-1])
    rest: NDArray[np.int64] = order[np.isfinite(losses[order]).all(axis=1)]
    front: list[int] = []
    while len(rest):
        first, others = losses[rest[0]], losses[rest[1:]]
        front.append(int(rest[0]))
        rest = rest[1:][(others < first).any(axis=1) | (others == first).all(axis=1)]
    return front


def ranked(losses: Matrix, count: int) -> list[int]:
    """The best rows: front by front, of the last one those with most room around them (Deb et al., NSGA-II, 2002)."""
    chosen: list[int] = []
    rest = np.arange(len(losses))
    while len(rest) and len(chosen) < count:
        front = rest[pareto_front(losses[rest])]
        if not len(front):  # none is finite
            return [*chosen, *rest.tolist()][:count]
        chosen += front[np.argsort(-crowding(losses[front]), kind="stable")].tolist()
        rest = np.setdiff1d(rest, front)
    return chosen[:count]


def crowding(losses: Matrix) -> NDArray[np.float64]:
    """How far apart the neighbours of each row of one front are, over all objectives; infinite at its ends."""
    room = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        room[order[[0, -1]]] = np.inf
        span = max(float(np.ptp(column)), 1e-12)
        room[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return room
