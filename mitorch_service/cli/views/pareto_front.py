"""The Pareto front of a job as miquery shows it, in place of a leaderboard."""

from __future__ import annotations

from typing import Any

from mitorch_service.cli.views.output import show_table
from mitorch_service.controller.observe.pareto_front import current_front
from mitorch_service.models.job import Job
from mitorch_service.models.pareto_front import FrontTrial
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store


def show_front(store: Store, job: Job, limit: int) -> None:
    """A line for each trial, by the first objective, the best first."""
    front = current_front(store, job)
    shown = front[:limit]
    rows = {row.id: row for row in store.fronts.trials_of_front(shown)}
    names = list(dict.fromkeys(name for trial in shown for name in trial.parameters))
    columns = (*job.search.objectives(), "trial", "id", "epochs", *names)
    count = f"{len(front)} trial{'s' * (len(front) != 1)}"
    title = f"Pareto front: {count}" + (f", {limit} of them" if len(front) > limit else "")
    show_table(title, columns, [_front_row(trial, rows.get(trial.training_id), names) for trial in shown])


def front_json(store: Store, job: Job, limit: int) -> dict[str, Any]:
    """The front, and its trainings as the leaderboard, in the same order; without those that were deleted."""
    front = current_front(store, job)
    rows = store.fronts.trials_of_front(front[:limit])
    return {"front": [trial.to_document() for trial in front], "leaderboard": [row.to_document() for row in rows]}


def _front_row(trial: FrontTrial, row: TrainingRow | None, names: list[str]) -> list[Any]:
    epochs = row.progress.epoch if row is not None and row.progress else None
    parameters = (trial.parameters.get(name) for name in names)
    return [*trial.values, trial.number, trial.training_id[:8], epochs, *parameters]
