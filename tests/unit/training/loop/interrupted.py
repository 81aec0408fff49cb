"""Small trainings that are interrupted, and what must not depend on it."""

from __future__ import annotations

from typing import Any

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.image_list import ImageList

Lists = tuple[ImageList, ImageList]
CLOCK = {"epoch_seconds", "samples_per_second", "finished_at"}


def config(**fields: Any) -> TrainingConfig:
    tiny: dict[str, Any] = {
        "model": {"name": "test_resnet", "input_size": 32, "options": {"drop_rate": 0.3}},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.01, "warmup": "linear"},
        "augmentation": {"train": ["random_affine", "horizontal_flip"], "val": "resize"},
        "batch_size": 8,
        "max_epochs": 3,
    }
    return TrainingConfig.model_validate(tiny | fields)
