"""The shortest and the longest time that trainings of a kind have held their nodes, for backfilling. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow

_ENOUGH = 3  # trainings of a kind, before anything is concluded from their durations
_RAN_TO_AN_END = (TrainingStatus.COMPLETED, TrainingStatus.PRUNED, TrainingStatus.PAUSED)
Kind = tuple[object, ...]


class DurationBounds:
    """Bounds by kind: the trials of one search, or the trainings on one data set with as many epochs."""

    def __init__(self, ended: Iterable[TrainingRow] = ()) -> None:
        self._kinds: dict[Kind, tuple[int, float, float]] = {}  # how many, shortest, longest: seconds
        for row in ended:
            attempt = row.current_attempt()
            if row.status in _RAN_TO_AN_END and attempt is not None and attempt.ended_at is not None:
                self.add(row, max(0.0, (attempt.ended_at - attempt.queued_at).total_seconds()))

    def add(self, row: TrainingRow, seconds: float) -> None:
        """Adds the duration of one that ran to an end."""
        kind = _kind(row)
        count, shortest, longest = self._kinds.get(kind, (0, seconds, seconds))
        self._kinds[kind] = count + 1, min(shortest, seconds), max(longest, seconds)

    def longest(self, row: TrainingRow) -> float | None:
        """Returns the seconds that none of its kind has exceeded; None if too few are known."""
        count, _, longest = self._kinds.get(_kind(row), (0, 0.0, 0.0))
        return longest if count >= _ENOUGH else None

    def least_remaining(self, row: TrainingRow, now: datetime) -> float:
        """Returns the seconds after which the first of its kind might end that has run as long as it has; 0 if too few
        are known."""
        attempt = row.current_attempt()
        elapsed = 0.0 if attempt is None else (now - attempt.queued_at).total_seconds()
        return max(0.0, self.shortest(row) - elapsed)

    def shortest(self, row: TrainingRow) -> float:
        """Returns the seconds that all of its kind have taken at least; 0 if too few are known."""
        count, shortest, _ = self._kinds.get(_kind(row), (0, 0.0, 0.0))
        return shortest if count >= _ENOUGH else 0.0


def _kind(row: TrainingRow) -> Kind:
    """Trials are compared with those that pause at the same epoch. A script without a data set is of the kind of its
    name, and one without a name of none but its own."""
    pause_at = row.trial.pause_at if row.trial is not None else None
    nodes = 1 if row.resources is None else row.resources.nodes
    what = row.job_id or (row.name or row.id if row.dataset == NO_DATASET else str(row.dataset))
    return (what, pause_at or row.max_epochs, nodes)
