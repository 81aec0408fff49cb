"""A few hundred of scikit-learn's digits as a data set, and configs that train on them in seconds."""

from __future__ import annotations

import tempfile
from functools import cache
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
    """A sixth of the digits to train on, a third of the others; returns the definition's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _small_digits().items():
        (folder / name).write_bytes(content)
    return folder / "digits.json"


@cache
def _small_digits() -> dict[str, bytes]:
    """The files by name. Drawing them takes a quarter of a second, which more than a hundred tests would spend."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert write_digits(folder).name == "digits.json"
        for split, step in (("train", 6), ("val", 3), ("test", 3)):
            text = folder / f"{split}.txt"
            text.write_text("".join(text.read_text().splitlines(keepends=True)[::step]))
        return {path.name: path.read_bytes() for path in folder.iterdir()}
