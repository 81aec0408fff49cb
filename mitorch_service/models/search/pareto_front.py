"""The Pareto front of a search with several objectives: the trials that no other trial dominates."""

from __future__ import annotations

from collections.abc import Iterable

from mitorch_service.models.base import Document, JsonObject


class FrontTrial(Document):
    """A trial on the front."""

    training_id: str
    number: int
    values: list[float]  # one per objective, finite
    parameters: JsonObject
    model: str | None = None  # the address of its weights


def front_artifacts(front: Iterable[FrontTrial]) -> dict[str, str]:
    """Returns the addresses of the front's weights, by artifact name."""
    return {f"model_{trial.number}": trial.model for trial in front if trial.model is not None}
