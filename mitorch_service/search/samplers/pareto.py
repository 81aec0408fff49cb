"""Pareto fronts of several objectives, on numpy. `losses`: n x m, a row for each trial; lower is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def pareto_front(losses: Matrix) -> list[int]:
    """Returns the indices of the rows that no other row dominates (nowhere higher, lower in a column), by the first
    column. Takes time O(rows x front): the lexicographically first row is in the front, and drops those that it
    dominates."""
    order = np.lexsort(losses.T[::-1])
    rest: NDArray[np.int64] = order[np.isfinite(losses[order]).all(axis=1)]
    front: list[int] = []
    while len(rest):
        first, others = losses[rest[0]], losses[rest[1:]]
        front.append(int(rest[0]))
        rest = rest[1:][(others < first).any(axis=1) | (others == first).all(axis=1)]
    return front


def ranked(losses: Matrix, count: int) -> list[int]:
    """Returns the indices of the best `count` rows: front by front, in each by falling crowding distance (NSGA-II, Deb
    et al. 2002, section III)."""
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
    """Returns the crowding distance (n) of the rows of one front; infinite at its ends (Deb et al. 2002, III-B)."""
    distance = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        distance[order[[0, -1]]] = np.inf
        span = max(float(np.ptp(column)), 1e-12)
        distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance
