"""The config that a queued training runs with."""

from __future__ import annotations

from mitorch_service.models.config import METRICS, TrainingConfig
from mitorch_service.models.training import Training


def config_of(training: Training) -> TrainingConfig:
    """A trial's objective is that of its search, if the config names no other: of several the first, by which then the
    epoch is chosen whose weights and evaluation are kept (`keep_weights`)."""
    config = TrainingConfig.model_validate(training.config)
    if config.objective is not None or training.trial is None:
        return config
    names = ("val_loss", *METRICS.get(config.task_type, ()))
    objective = training.trial.objective
    return config.model_copy(update={"objective": objective}) if objective in names else config
