"""The times that trainings have held their nodes: what a training that waits may be expected to take. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow

_RAN_TO_AN_END = (TrainingStatus.COMPLETED, TrainingStatus.PRUNED, TrainingStatus.PAUSED)
_ENOUGH = 3  # durations of which a distribution is made


@dataclass(frozen=True)
class _Record:
    job_id: str | None
    dataset: str
    max_epochs: int
    seconds: float  # from its assignment to its end
    epochs: int


class RecordedDurations:
    """Durations of trainings that have ended, the newest of them."""

    def __init__(self, ended: Iterable[TrainingRow]) -> None:
        self._records = [record for row in ended if (record := _record(row)) is not None]

    def __len__(self) -> int:
        return len(self._records)

    def of(self, row: TrainingRow) -> Sequence[float]:
        """The seconds that trainings like this one took: trials of its search, else those on its data set with as many
        epochs, else those on its data set, else all; the last two by the epoch. Of the first kind of which there are
        three, else of the last of which there are any."""
        last = (row.trial and row.trial.pause_at) or row.max_epochs
        same_data = [one for one in self._records if one.dataset == row.dataset.name]
        kinds = (
            [one.seconds for one in self._records if row.job_id is not None and one.job_id == row.job_id],
            [one.seconds for one in same_data if one.job_id is None and one.max_epochs == last],
            _scaled(same_data, last),
            _scaled(self._records, last),
        )
        return next((kind for kind in kinds if len(kind) >= _ENOUGH), kinds[-1])


def _scaled(records: Sequence[_Record], epochs: int) -> list[float]:
    if not epochs:
        return [one.seconds for one in records]
    return [one.seconds * epochs / one.epochs for one in records if one.epochs]


def _record(row: TrainingRow) -> _Record | None:
    attempt = row.current_attempt()
    if row.status not in _RAN_TO_AN_END or attempt is None or attempt.ended_at is None:
        return None
    seconds = (attempt.ended_at - attempt.queued_at).total_seconds()
    epochs = row.progress.epoch if row.progress else 0
    return _Record(row.job_id, row.dataset.name, row.max_epochs, max(0.0, seconds), epochs)
