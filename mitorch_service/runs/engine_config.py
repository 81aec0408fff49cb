"""The config with which the engine trains a queued training."""

from __future__ import annotations

from mitorch_service.models.config.training_config import METRICS, TrainingConfig
from mitorch_service.models.training import Training


def engine_config(training: Training) -> TrainingConfig:
    """The training's config, with the objective of its search unless the config names one: the first of several. It
    selects the epoch whose weights and evaluation are kept (`keep_weights`)."""
    config = TrainingConfig.model_validate(training.config)
    if config.objective is not None or training.trial is None:
        return config
    names = ("val_loss", *METRICS.get(config.task_type, ()))
    objective = training.trial.objective
    return config.model_copy(update={"objective": objective}) if objective in names else config
