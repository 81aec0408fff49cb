"""Findings about a search in words: how far it is, what mattered, what early stopping saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mitorch_service.insights.search.search_effort import Effort
from mitorch_service.insights.search.search_history import Improvement
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.status import ACTIVE_JOBS, JobStatus
from mitorch_service.wording.counted import counted


class Share(NamedTuple):
    """The share of the variation that a parameter explains: its mean over resamples of the trials, and its range."""

    share: float
    low: float
    high: float


_LEAST_TRIALS = 10  # with a value; fewer say nothing about a trend
_LATE = 0.25  # of the trials: the last quarter
_SMALL = 0.01  # of the whole gain


def progress_finding(found: Sequence[Improvement], status: JobStatus, direction: Direction) -> str | None:
    """Says whether the best value still improves: what the last quarter of the trials has added to the gain over the
    first trial."""
    if len(found) < _LEAST_TRIALS:
        return None
    late = found[-max(int(len(found) * _LATE), 1) :]
    before, last = found[-len(late) - 1].best, found[-1].best
    gain, late_gain = abs(last - found[0].value), abs(last - before)
    best = next(one for one in reversed(found) if one.is_best)
    behind = len(found) - 1 - found.index(best)
    if late_gain > _SMALL * gain and late_gain > 0:
        words = f"It still improves: the last {len(late)} results took the best from {before:.4g} to {last:.4g}."
        return words + ("" if status in ACTIVE_JOBS else " More trials may be worth it.")
    verb = "has not improved" if status in ACTIVE_JOBS else "did not improve"
    return f"The best value {verb} for the last {behind} results (trial {best.trial.number}: {last:.4g})."


def importance_finding(shares: Mapping[str, Share], objective: str) -> str | None:
    """Says what mattered most, and whether that is certain: the ranges of the first two must not overlap."""
    first, second = [*shares.items(), None, None][:2]
    if first is None:
        return None
    name, share = first
    words = f"{name} mattered most: {share.share:.0%} of the variation of {objective}"
    if second is not None and second[1].high > share.low:
        return f"{words}, but {second[0]} may matter as much ({second[1].low:.0%} to {second[1].high:.0%})."
    return f"{words}."


def saving_finding(effort: Effort) -> str | None:
    """Says how much early stopping has saved."""
    if not effort.saves:
        return None
    saved = 1 - effort.epochs / effort.epochs_without_stopping
    words = f"Early stopping ended {counted(effort.stopped, 'trial')} and saved {saved:.0%} of the epochs"
    if effort.node_hours is None or effort.node_hours_without_stopping is None:
        return f"{words}."
    return f"{words}, about {effort.node_hours_without_stopping - effort.node_hours:.3g} node hours."
