"""A few hundred of scikit-learn's digits as a data set, and configs that train on them in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.write_digits import write_digits

TINY_TRAINING: dict[str, Any] = {
    "dataset": "digits",
    "model": {"name": "test_resnet", "input_size": 32},
    "optimizer": {"name": "adamw"},
    "lr_scheduler": {"name": "cosine", "base_lr": 0.003},
    "augmentation": {"train": "resize", "val": "resize"},
    "batch_size": 64,
    "max_epochs": 2,
}
ENDLESS_TRAINING: dict[str, Any] = {**TINY_TRAINING, "max_epochs": 10_000}
TINY_SEARCH: dict[str, Any] = {
    "job_type": "search",
    "dataset": "digits",
    "config": {**TINY_TRAINING, "lr_scheduler": {"name": "cosine", "base_lr": {"_loguniform": [1e-3, 1e-2]}}},
    "search": {"algorithm": "random", "objective": "top1_accuracy", "max_trials": 2, "seed": 3},
}


def write_small_digits(folder: Path) -> Path:
    """The digits with every fourth training image only; returns the definition's path."""
    definition = write_digits(folder)
    train = folder / "train.txt"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[::4]))
    assert json.loads(definition.read_text())[0]["name"] == "digits"
    return definition
