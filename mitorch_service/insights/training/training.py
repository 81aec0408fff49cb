"""One training with its cost and its curve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.controller.observe.cost import Cost, training_cost
from mitorch_service.errors import BrokenDocument
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store


@dataclass(frozen=True)
class TrainingReport:
    """A training and its cost until now."""

    training: Training
    cost: Cost

    @property
    def has_ended(self) -> bool:
        return self.training.status in ENDED


def read_training(store: Store, training_id: str, now: datetime) -> TrainingReport:
    """Raises NotFound, BrokenDocument."""
    training = store.trainings.get_training(training_id)
    return TrainingReport(training, training_cost(training.attempts, now))


def read_curve(store: Store, training_id: str) -> Iterator[EpochResult]:
    """The recorded epochs in order, without those that cannot be read; a page is held at a time."""
    for record in store.runs.curve_records(training_id):
        with suppress(BrokenDocument):
            yield EpochResult.from_document(record)
