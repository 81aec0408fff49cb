"""Trainings by the product's own engine: their config, and the data set that they train on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from PIL import Image

DATASET = "chaos"
_CLASSES, _PIXELS = 4, 16
_IMAGES = {"train": 160, "val": 40}
_MOST_EPOCHS = 4


def engine_config(number: int) -> dict[str, Any]:
    """The config of the engine's training of this number, from 0: the first and longest, then shorter ones."""
    return {
        "dataset": DATASET,
        "model": {"name": "test_resnet", "input_size": 32},
        "optimizer": {"name": "adamw"},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.003},
        "augmentation": {"train": ["resize", "flip"], "val": "resize"},
        "batch_size": 16,
        "max_epochs": _MOST_EPOCHS - number % 3,
        "max_retries": 1,
    }


def write_dataset(folder: Path) -> Path:
    """Writes images of noise, darker or brighter by class; returns the path of the definition for `midataset`."""
    draw = random.Random(0)
    splits = {}
    for split, count in _IMAGES.items():
        (folder / split).mkdir(parents=True)
        lines = []
        for number in range(count):
            shade = 50 * (number % _CLASSES)
            pixels = bytes(shade + draw.randrange(100) for _ in range(3 * _PIXELS**2))
            Image.frombytes("RGB", (_PIXELS, _PIXELS), pixels).save(folder / split / f"{number}.png")
            lines.append(f"{split}/{number}.png {number % _CLASSES}\n")
        (folder / f"{split}.txt").write_text("".join(lines))
        splits[split] = {"path": f"{split}.txt", "support_files": [split]}
    definition = folder / "dataset.json"
    definition.write_text(json.dumps([{"name": DATASET, "version": 1, **splits}]))
    return definition
