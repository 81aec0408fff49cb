"""What the trials of a search have taken, and what they would have taken without early stopping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mitorch_service.controller.observe.cost import training_cost
from mitorch_service.models.status import STOPPED_BY_SEARCH, TrainingStatus
from mitorch_service.models.training import TrialRow
from mitorch_service.stores.costs import Account


@dataclass(frozen=True)
class Effort:
    """Of the trials that are completed or were stopped early. Times are None where they were not added up."""

    epochs: int  # run
    epochs_without_stopping: int
    stopped: int  # trials
    node_hours: float | None
    node_hours_without_stopping: float | None  # each stopped trial at its own mean time of an epoch

    def fields(self) -> list[tuple[str, Any]]:
        """Lines for a person; None where there is nothing to say."""
        saved = f" without early stopping, which kept {self.stopped} trials short"
        epochs = self._share(f"{self.epochs} run", self.epochs, self.epochs_without_stopping, "d") + saved * self._saves
        if not self.node_hours or not self.node_hours_without_stopping:
            return [("epochs", epochs if self.epochs else None), ("time", None)]
        hours = self._share(
            f"{self.node_hours:.3g} node hours", self.node_hours, self.node_hours_without_stopping, ".3g"
        )
        pace = " without it, at each trial's own pace" * self._saves
        return [("epochs", epochs if self.epochs else None), ("time", hours + pace)]

    def json(self) -> dict[str, float | None]:
        """The same for machines."""
        return asdict(self)

    @property
    def _saves(self) -> bool:
        return self.stopped > 0 and self.epochs_without_stopping > 0

    def _share(self, spent: str, part: float, whole: float, form: str) -> str:
        return f"{spent}, {part / whole:.0%} of the {whole:{form}}" if self._saves else spent


def effort(rows: Sequence[TrialRow], accounts: Iterable[Account] | None, now: datetime) -> Effort:
    """Of the trials `rows`; `accounts`: theirs, None where there are too many to be read."""
    ended = [row for row in rows if row.status in (TrainingStatus.COMPLETED, *STOPPED_BY_SEARCH)]
    hours = None if accounts is None else {a.id: training_cost(a.attempts, now).node_hours for a in accounts}
    return Effort(
        epochs=sum(map(_epochs, ended)),
        epochs_without_stopping=sum(map(_whole, ended)),
        stopped=sum(row.status in STOPPED_BY_SEARCH for row in ended),
        node_hours=None if hours is None else sum(hours.get(row.id, 0.0) for row in ended),
        node_hours_without_stopping=None if hours is None else sum(_whole_hours(row, hours) for row in ended),
    )


def _epochs(row: TrialRow) -> int:
    return row.progress.epoch if row.progress else 0


def _whole(row: TrialRow) -> int:
    """The epochs that a stopped trial would have had; a completed one has had its own."""
    return max(row.max_epochs, _epochs(row)) if row.status in STOPPED_BY_SEARCH else _epochs(row)


def _whole_hours(row: TrialRow, hours: Mapping[str, float]) -> float:
    return hours.get(row.id, 0.0) * (_whole(row) / _epochs(row) if _epochs(row) else 1.0)
