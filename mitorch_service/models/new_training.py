"""Creates the document of a new training."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from mitorch_service.models.config.training_length import epochs_of
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training


def new_training(
    id: str, config: Mapping[str, JsonValue], dataset: DatasetRef, now: datetime, arrival: int, **fields: Any
) -> Training:
    """Returns a training with status NEW from a checked config; `fields`: further fields of Training."""
    return Training(
        id=id,
        status=TrainingStatus.NEW,
        arrival=arrival,
        created_at=now,
        status_times={"new": now},
        dataset=dataset,
        config={key: value for key, value in config.items() if key != "dataset"},
        max_epochs=config["max_epochs"] if "max_epochs" in config else epochs_of(config),
        max_steps=config.get("max_steps"),
        max_retries=config.get("max_retries", 0),
        resources=config.get("resources"),
        **fields,
    )
