"""What the engine knows about a config that its form does not show: checked at submission, without importing torch."""

from __future__ import annotations

from mitorch_service.errors import Problem
from mitorch_service.models.config import TrainingConfig
from mitorch_service.training.augmentation_options import check_augmentation
from mitorch_service.training.model_names import unknown_model_problem


def check_names(config: TrainingConfig) -> list[Problem]:
    """An unknown model (where timm is installed) and unknown options of transforms, each with its path."""
    problem = unknown_model_problem(config.model.name)
    found = [Problem("model.name", problem)] if problem else []
    return found + check_augmentation(config.augmentation)
