"""Measures how many wrong labels `midataset suspects` finds: digits with 3 % of their labels spoiled, each half judged
by networks that were trained on the other one.

    python -m tests.benchmarks.suspects [EPOCHS] [MODELS]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splits import read_split
from mitorch_service.training.data.targets import ClassTargets
from mitorch_service.training.loop.engine import train
from mitorch_service.training.networks.weights import save_weights
from mitorch_service.training.prediction.loading import load_model
from mitorch_service.training.suspects.ranking import Readings, Suspect
from tests.unit.training.pictures import write_digits

_SPOILED, _FIRST = 0.03, 0.06


def main(epochs: int = 12, models: int = 2) -> None:
    """Prints one JSON line."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_digits(folder)
        images = read_split(folder / "train.txt")
        draw = np.random.default_rng(0)
        wrong = draw.choice(len(images), round(_SPOILED * len(images)), replace=False)
        labels = array("i", (images.targets.labels_of(index)[0] for index in range(len(images))))
        for index, by in zip(wrong.tolist(), draw.integers(1, 10, len(wrong)).tolist(), strict=True):
            labels[index] = (labels[index] + by) % 10
        spoiled = replace(images, targets=ClassTargets(labels))
        halves = [spoiled.select(range(start, len(spoiled), 2), f"half {start}") for start in range(2)]
        ranked: list[tuple[float, int]] = []
        for half in range(2):
            found = _judged(halves[half], halves[1 - half], folder, epochs, models)
            ranked += [(place / len(found), 2 * one.index + half) for place, one in enumerate(found)]
    first = {index for _, index in sorted(ranked)[: round(_FIRST * len(ranked))]}
    share = len(first & set(wrong.tolist())) / len(wrong)
    figure = {"spoiled": len(wrong), "found_in_first_6_percent": round(share, 3), "epochs": epochs, "models": models}
    print(json.dumps({**figure, "seconds": round(time.monotonic() - start, 1)}))


def _judged(images: ImageList, others: ImageList, folder: Path, epochs: int, models: int) -> list[Suspect]:
    """Ranks the images by models that were trained on the others."""
    readings = Readings({"half": images})
    for seed in range(models):
        fields = {"model": {"name": "test_resnet", "input_size": 32}, "max_epochs": epochs, "batch_size": 32}
        rate = {"lr_scheduler": {"name": "cosine", "base_lr": 0.003}, "optimizer": {"name": "adamw"}, "seed": seed}
        outcome = train(TrainingConfig.model_validate({**fields, **rate}), others, images)
        save_weights(outcome.state_dict, folder / "model.pth", outcome.metadata)
        readings.add(load_model(folder / "model.pth"), f"model {seed}")
    return readings.rank().suspects


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
