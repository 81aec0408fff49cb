"""mixup and cutmix: images of a batch are blended or pasted into each other, and their classes in the same shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torchvision.transforms import v2

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config import AugmentationStep
from mitorch_service.training.augmentation.options import ON_BATCHES, OPTIONS
from mitorch_service.training.data.batch import Batch
from mitorch_service.training.data.targets import Kind
from mitorch_service.training.seeding import derived_seed

_MIXES = {"mixup": v2.MixUp, "cutmix": v2.CutMix}
_PURPOSE = -1  # no image has this number: the seeds differ from those of the images


class Mixing:
    """Mixes whole batches on the device. The random numbers depend on the seed, the epoch and the batch alone."""

    def __init__(self, steps: Sequence[AugmentationStep], classes: int, seed: int) -> None:
        chosen = [step for step in steps if step.name in ON_BATCHES]
        options: list[Any] = [OPTIONS[step.name].model_validate(step.options) for step in chosen]
        self._mixes = [
            (_MIXES[step.name](alpha=given.alpha, num_classes=classes), given.p)
            for step, given in zip(chosen, options, strict=True)
        ]
        self._seed = seed

    def __call__(self, batch: Batch, epoch: int, number: int) -> Batch:
        """The batch, float32 images and classes (N) or (N, classes), mixed: float32 targets (N, classes), of which each
        row adds up to what it did."""
        if not self._mixes:
            return batch
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derived_seed(self._seed, epoch, _PURPOSE, number))
            mix, probability = self._mixes[int(torch.randint(len(self._mixes), ()))]
            if torch.rand(()) >= probability:
                return batch
            images, targets = mix(batch.images, batch.targets)
        return Batch(images, targets)


def build_mixing(steps: Sequence[AugmentationStep], kind: Kind, classes: int, seed: int) -> Mixing:
    """Of a training's steps, those that mix batches. Raises InvalidInput where there are some in detection."""
    for step in steps:
        if step.name in ON_BATCHES and kind == "detection":
            problem = f"{step.name} is for classification: boxes cannot be mixed. Remove it"
            raise InvalidInput("config", [Problem("augmentation.train", problem)])
    return Mixing(steps, classes, seed)
