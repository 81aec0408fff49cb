"""What miquery says of the final training of a search."""

from __future__ import annotations

from typing import Any

from mitorch_service.cli.views.output import text
from mitorch_service.controller.observe.refit import read_refit
from mitorch_service.models.job import Job
from mitorch_service.models.training import Training, epochs_text
from mitorch_service.stores.base import Store


class FinalTraining:
    """The one of a job, if it has one, as it is now."""

    def __init__(self, store: Store, job: Job) -> None:
        self._job, self._state = job, read_refit(store, job)

    @property
    def training(self) -> Training | None:
        """None where there is none yet, or it cannot be read."""
        return None if self._state is None else self._state.training

    def fields(self) -> list[tuple[str, Any]]:
        """A line for a person."""
        if self._job.search.refit is None:
            return []
        if self.training is None:
            return [("final training", "follows the search" if self._state is None else self._state.status)]
        row, objective = self.training, self._job.search.objectives()[0]
        done = epochs_text(row.progress.epoch if row.progress else 0, row.max_epochs)
        value = (row.evaluation or {}).get(objective)
        reached = "" if value is None else f", {objective}={text(value)}"
        return [("final training", f"{row.id} {row.status}, epoch {done}{reached}")]

    def json(self) -> dict[str, Any] | None:
        """The same for machines."""
        row = self.training
        return None if row is None else {"id": row.id, "status": row.status, "evaluation": row.evaluation}
