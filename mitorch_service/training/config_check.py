"""What the engine knows about a config that its form does not show: checked at submission, without importing torch."""

from __future__ import annotations

from mitorch_service.errors import Problem
from mitorch_service.models.config import TrainingConfig
from mitorch_service.training.augmentation_options import check_augmentation
from mitorch_service.training.model_names import unknown_model_problem
from mitorch_service.training.optimizer_names import unknown_optimizer_problem
from mitorch_service.training.task_names import unknown_task_problem


def check_names(config: TrainingConfig) -> list[Problem]:
    """An unknown task, an unknown model (where timm is installed), and unknown options of transforms, each with its
    path."""
    task = unknown_task_problem(config.task_type)
    model = None if task else unknown_model_problem(config.model.name, config.task_type)
    found = [Problem("task_type", task)] if task else [Problem("model.name", model)] if model else []
    optimizer = unknown_optimizer_problem(config.optimizer.name)
    found += [Problem("optimizer.name", optimizer)] if optimizer else []
    return found + check_augmentation(config.augmentation, config.task_type)
