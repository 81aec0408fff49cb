"""Checks of a config beyond its form: names and options that the engine knows. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.errors import Problem
from mitorch_service.models.config.training_config import (
    AugmentationStep,
    TrainingConfig,
    augmentation_list,
    model_section,
)
from mitorch_service.models.config.validation import check
from mitorch_service.training.augmentation.options import check_augmentation
from mitorch_service.training.networks.model_names import unknown_model_problem
from mitorch_service.training.optimization.optimizer_names import unknown_optimizer_problem
from mitorch_service.training.tasks.task_names import unknown_task_problem

_DEFAULT_TASK = str(TrainingConfig.model_fields["task_type"].default)


def check_names(written: Mapping[str, object]) -> list[Problem]:
    """Unknown tasks, models (where timm is installed), optimizers, transforms and options of transforms, each with its
    path.

    `written` is a config as it is in the file. Parts with a wrong form are skipped, so that all problems of a file can
    be reported together.
    """
    task_type = written.get("task_type", _DEFAULT_TASK)
    if not isinstance(task_type, str):
        task_type = _DEFAULT_TASK
    task = unknown_task_problem(task_type)
    model = _name_in(written, "model")
    optimizer = _name_in(written, "optimizer")
    found = [
        ("task_type", task),
        ("model.name", unknown_model_problem(model, task_type) if model and not task else None),
        ("optimizer.name", unknown_optimizer_problem(optimizer) if optimizer else None),
    ]
    names = [Problem(path, problem) for path, problem in found if problem is not None]
    return names + check_augmentation(_steps_in(written, "train"), _steps_in(written, "val"), task_type)


def _name_in(written: Mapping[str, object], section: str) -> str | None:
    inner = written.get(section)
    if section == "model":
        inner = model_section(inner)
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else None


def _steps_in(written: Mapping[str, object], part: str) -> list[AugmentationStep | None]:
    """None for a step with a wrong form, which the check of the form reports."""
    section = written.get("augmentation")
    if not isinstance(section, dict) or part not in section:
        return []
    return [check(AugmentationStep, step)[0] for step in augmentation_list(section[part])]
