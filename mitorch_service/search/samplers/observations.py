"""The observations of a sampler's model: a final loss for each trial of which some value is known.

A trial that was stopped early has no final loss, and its last value is no substitute: trials that stopped late would
look better than those that stopped early. So its final loss is extrapolated from rung to rung: trials with values at
two consecutive rungs give the regression line (least squares) from one to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mitorch_service.search.base import History, TrialRecord, TrialState
from mitorch_service.search.space.space import Point

Vector = NDArray[np.float64]

_LEAST_PAIRS = 4  # for a regression from one rung to the next
_ENDED_BADLY = (TrialState.FAILED, TrialState.DIVERGED)


@dataclass(frozen=True)
class Observations:
    """Points and their finite losses (lower is better), in the order of the trials' numbers."""

    points: list[Point]
    losses: Vector


def observe(history: History) -> Observations:
    """Returns the losses, in the first objective, of ended trials and of running ones that reached a rung. Failed,
    diverged and infinite ones get the worst finite loss; without any finite loss there are no observations."""
    if "observations" not in history.memory:
        history.memory["observations"] = _observe(history)
    seen: Observations = history.memory["observations"]
    return seen


def observe_all(history: History) -> tuple[list[Point], Vector]:
    """Returns the points of the n ended trials, and their losses in all m objectives (n x m). A trial that ended badly
    gets the worst loss of each objective."""
    if len(history.study.directions) == 1:
        seen = observe(history)
        return seen.points, seen.losses[:, None]
    if "all observations" not in history.memory:
        history.memory["all observations"] = _observe_all(history)
    points, losses = history.memory["all observations"]
    return points, losses


def of_objective(history: History, index: int) -> History:
    """Returns the trials as the history of a search for one of its objectives; only the first has curves."""
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
    losses = _final_losses(history, known)
    for index, record in enumerate(known):
        if record.state in _ENDED_BADLY:
            losses[index] = math.inf
    finite = np.isfinite(losses)
    if not finite.any():
        return Observations([], np.empty(0))
    losses[~finite] = losses[finite].max()
    return Observations([record.point for record in known], losses)


def _final_losses(history: History, records: list[TrialRecord]) -> Vector:
    """Each record's final loss, extrapolated if it was not measured; infinite if no finite value is known."""
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
        _extrapolate(table[:, column - 1], table[:, column])
    return np.where(np.isnan(table[:, -1]), np.inf, table[:, -1])


def _extrapolate(before: Vector, after: Vector) -> None:
    """Fills the missing values of a rung, in place, from the rung before."""
    missing = np.isnan(after) & ~np.isnan(before)
    pairs = np.isfinite(before) & np.isfinite(after)
    if not missing.any():
        return
    x, y = before[pairs], after[pairs]
    slope, intercept = _line(x, y)
    estimate = slope * before[missing] + intercept
    best = y.min() if len(y) else -np.inf
    after[missing] = np.maximum(estimate, best)  # a stopped trial never counts as a new best


def _line(x: Vector, y: Vector) -> tuple[float, float]:
    """Slope and intercept of the regression line, never falling; of few pairs, their mean difference with slope 1."""
    if len(x) == 0:
        return 1.0, 0.0
    spread = float(np.var(x))
    if len(x) < _LEAST_PAIRS or spread == 0:
        return 1.0, float(np.mean(y - x))
    slope = max(float(np.mean((x - x.mean()) * (y - y.mean()))) / spread, 0.0)
    return slope, float(y.mean() - slope * x.mean())
