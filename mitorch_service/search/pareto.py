"""Several objectives at once: who dominates whom. All losses: lower is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def pareto_front(losses: Matrix) -> list[int]:
    """The rows that no other row dominates (at most as high in all columns, lower in one), by the first column."""
    front = [index for index, row in enumerate(losses) if np.isfinite(row).all() and not _is_dominated(row, losses)]
    return sorted(front, key=lambda index: tuple(losses[index]))


def ranked(losses: Matrix, count: int) -> list[int]:
    """The best rows: front by front, of the last one those with most room around them (Deb et al., NSGA-II, 2002)."""
    chosen: list[int] = []
    rest = list(range(len(losses)))
    while rest and len(chosen) < count:
        front = [rest[index] for index in pareto_front(losses[rest])] or rest
        room = crowding(losses[front])
        chosen += [front[index] for index in np.argsort(-room, kind="stable")]
        rest = [index for index in rest if index not in set(front)]
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


def _is_dominated(row: Matrix, losses: Matrix) -> bool:
    return bool(((losses <= row).all(axis=1) & (losses < row).any(axis=1)).any())
