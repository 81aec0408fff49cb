"""The Pareto front of a search for several objectives: the trials that no other is better than in every objective."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mitorch_service.models.base import Document


class FrontTrial(Document):
    """A trial of the front."""

    training_id: str
    number: int
    values: list[float]  # of each objective, finite
    parameters: dict[str, Any]
    model: str | None = None  # where its weights are


def front_artifacts(front: Iterable[FrontTrial]) -> dict[str, str]:
    """The weights of each trial of the front, by name, for those that have some."""
    return {f"model_{trial.number}": trial.model for trial in front if trial.model is not None}
