"""mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019): mix images of a batch, and their targets in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torchvision.transforms import v2

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import AugmentationStep
from mitorch_service.training.augmentation.options import ON_BATCHES, OPTIONS
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.data.targets import Kind
from mitorch_service.training.seeding import derived_seed

_MIXES = {"mixup": v2.MixUp, "cutmix": v2.CutMix}
_PURPOSE = -1  # not the number of any image, so that the seeds differ from the images'


class Mixing:
    """Mixes whole batches on their device. The random numbers depend only on the seed, the epoch and the batch."""

    def __init__(self, steps: Sequence[AugmentationStep], classes: int, seed: int) -> None:
        chosen = [step for step in steps if step.name in ON_BATCHES]
        options: list[Any] = [OPTIONS[step.name].model_validate(step.options) for step in chosen]
        self._mixes = [
            (_MIXES[step.name](alpha=given.alpha, num_classes=classes), given.p)
            for step, given in zip(chosen, options, strict=True)
        ]
        self._seed = seed

    def __call__(self, batch: Batch, epoch: int, number: int) -> Batch:
        """Mixes batch `number` of `epoch`: float32 images and targets (N) or (N, classes).

        Returns float32 targets (N, classes), each row with its original sum; or the batch unchanged.
        """
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
    """Builds the steps that mix batches. Raises InvalidInput if detection has any."""
    for step in steps:
        if step.name in ON_BATCHES and kind == "detection":
            problem = f"{step.name} is for classification: boxes cannot be mixed. Remove it"
            raise InvalidInput("config", [Problem("augmentation.train", problem)])
    return Mixing(steps, classes, seed)
