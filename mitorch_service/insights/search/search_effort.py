"""The epochs and time that the trials of a search have taken, and would have taken without early stopping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.controller.observe.cost import training_cost
from mitorch_service.models.status import STOPPED_BY_SEARCH, TrainingStatus
from mitorch_service.models.training import TrialRow
from mitorch_service.stores.verbs.costs import Account


@dataclass(frozen=True)
class Effort:
    """Sums over the trials that completed or were stopped early. Times are None where they were not added up."""

    epochs: int  # run
    epochs_without_stopping: int
    stopped: int  # trials
    node_hours: float | None
    node_hours_without_stopping: float | None  # each stopped trial at its own mean time of an epoch

    @property
    def saves(self) -> bool:
        """Whether early stopping saved anything."""
        return self.stopped > 0 and self.epochs_without_stopping > 0


def effort(rows: Sequence[TrialRow], accounts: Iterable[Account] | None, now: datetime) -> Effort:
    """Sums over the trials `rows`; `accounts` are theirs, None if there are too many to read."""
    ended = [row for row in rows if row.status in (TrainingStatus.COMPLETED, *STOPPED_BY_SEARCH)]
    hours = None if accounts is None else {a.id: training_cost(a.attempts, now).node_hours for a in accounts}
    return Effort(
        epochs=sum(map(_epochs, ended)),
        epochs_without_stopping=sum(map(_full_epochs, ended)),
        stopped=sum(row.status in STOPPED_BY_SEARCH for row in ended),
        node_hours=None if hours is None else sum(hours.get(row.id, 0.0) for row in ended),
        node_hours_without_stopping=None if hours is None else sum(_full_hours(row, hours) for row in ended),
    )


def _epochs(row: TrialRow) -> int:
    return row.progress.epoch if row.progress else 0


def _full_epochs(row: TrialRow) -> int:
    """The epochs that a stopped trial would have had; a completed one ended by itself."""
    return max(row.max_epochs, _epochs(row)) if row.status in STOPPED_BY_SEARCH else _epochs(row)


def _full_hours(row: TrialRow, hours: Mapping[str, float]) -> float:
    return hours.get(row.id, 0.0) * (_full_epochs(row) / _epochs(row) if _epochs(row) else 1.0)
