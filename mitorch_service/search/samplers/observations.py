"""What a model of one objective is fed: a loss for every trial of which something is known.

A trial that was stopped early has no loss of its own end, and to take its last value for one misleads: what stopped
late would look better than what stopped early, however it compares. So its end is estimated: trials that have values
after the same epochs show how one turns into the other (least squares, from each rung to the next), and the estimate is
carried on from rung to rung up to the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mitorch_service.search.base import History, TrialRecord, TrialState
from mitorch_service.search.space.space import Point

Vector = NDArray[np.float64]

_LEAST_PAIRS = 4  # to see how values of one rung turn into those of the next
_ENDED_BADLY = (TrialState.FAILED, TrialState.DIVERGED)


@dataclass(frozen=True)
class Observations:
    """Points with their losses, finite, lower is better, in the order of the trials' numbers."""

    points: list[Point]
    losses: Vector


def observe(history: History) -> Observations:
    """The losses of ended trials, and of running ones that reached a rung. Failed, diverged and infinite ones get the
    worst loss that is known; without any finite loss there are no observations."""
    if "observations" not in history.memory:
        history.memory["observations"] = _observe(history)
    seen: Observations = history.memory["observations"]
    return seen


def observe_all(history: History) -> tuple[list[Point], Vector]:
    """The points of ended trials, and a row of losses, one for each objective, of each. What ended badly has the worst
    that is known of each objective."""
    if len(history.study.directions) == 1:
        seen = observe(history)
        return seen.points, seen.losses[:, None]
    if "all observations" not in history.memory:
        history.memory["all observations"] = _observe_all(history)
    points, losses = history.memory["all observations"]
    return points, losses


def of_objective(history: History, index: int) -> History:
    """The same trials as a search for one of its objectives has them; only the first has curves."""
    study = replace(history.study, directions=(history.study.directions[index],))
    records = (
        replace(record, values=record.values[index : index + 1], curve=record.curve if index == 0 else {})
        for record in history.records
    )
    return History(study, records)


def _observe_all(history: History) -> tuple[list[Point], Vector]:
    count = len(history.study.directions)
    ended = [record for record in history.records if record.state != TrialState.RUNNING]
    lost = (math.inf,) * count
    rows = [history.study.losses(r.values) if r.state == TrialState.COMPLETED else lost for r in ended]
    losses = np.array([row if len(row) == count else lost for row in rows]).reshape(-1, count)
    whole = np.isfinite(losses).all(axis=1)
    if not whole.any():
        return [], np.empty((0, count))
    losses[~whole] = losses[whole].max(axis=0)
    return [record.point for record in ended], losses


def _observe(history: History) -> Observations:
    known = [record for record in history.records if not record.is_open()]
    losses = _ends(history, known)
    for index, record in enumerate(known):
        if record.state in _ENDED_BADLY:
            losses[index] = math.inf
    finite = np.isfinite(losses)
    if not finite.any():
        return Observations([], np.empty(0))
    losses[~finite] = losses[finite].max()
    return Observations([record.point for record in known], losses)


def _ends(history: History, records: list[TrialRecord]) -> Vector:
    """Every record's loss at its end, estimated where it was not seen; infinite where nothing finite is known."""
    rungs = sorted({epochs for record in records if record.state != TrialState.COMPLETED for epochs in record.curve})
    table = np.full((len(records), len(rungs) + 1), np.nan)
    place = {epochs: column for column, epochs in enumerate(rungs)}
    for row, record in zip(table, records, strict=True):
        for epochs, value in record.curve.items():
            if epochs in place:
                row[place[epochs]] = history.study.losses([value])[0]
        if record.state == TrialState.COMPLETED:
            row[-1] = history.study.losses(record.values[:1])[0] if record.values else math.inf
    for column in range(1, table.shape[1]):
        _carry_on(table[:, column - 1], table[:, column])
    return np.where(np.isnan(table[:, -1]), np.inf, table[:, -1])


def _carry_on(before: Vector, after: Vector) -> None:
    """Fills what is missing of a rung, in place, from the rung before."""
    missing = np.isnan(after) & ~np.isnan(before)
    pairs = np.isfinite(before) & np.isfinite(after)
    if not missing.any():
        return
    x, y = before[pairs], after[pairs]
    slope, shift = _line(x, y)
    estimate = slope * before[missing] + shift
    best = y.min() if len(y) else -np.inf
    after[missing] = np.maximum(estimate, best)  # what was stopped is not taken for a new best


def _line(x: Vector, y: Vector) -> tuple[float, float]:
    """The line through the pairs; with few of them only their mean change; never falling."""
    if len(x) == 0:
        return 1.0, 0.0
    spread = float(np.var(x))
    if len(x) < _LEAST_PAIRS or spread == 0:
        return 1.0, float(np.mean(y - x))
    slope = max(float(np.mean((x - x.mean()) * (y - y.mean()))) / spread, 0.0)
    return slope, float(y.mean() - slope * x.mean())
