"""The length of a training, as its config states it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitorch_service.models.config.script import is_script
from mitorch_service.models.training import DEFAULT_MAX_EPOCHS


def epochs_of(config: Mapping[str, Any]) -> int:
    """Returns the number of epochs, each of which ends with a validation; 0 if it is not known before the training has
    read its data (`max_steps` without `eval_every`), or not the same for all trials of a search."""
    steps = config.get("max_steps")
    if steps is not None:
        every = config.get("eval_every")
        return -(-steps // every) if _is_count(steps) and _is_count(every) else 0
    epochs = config.get("max_epochs", 0 if is_script(config) else DEFAULT_MAX_EPOCHS)
    return epochs if _is_count(epochs) else 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
