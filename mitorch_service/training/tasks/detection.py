"""Object detection: trained with the detector's own loss, evaluated by COCO's metrics and per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mitorch_service.models.config.training_config import ModelConfig, TrainingConfig
from mitorch_service.training.data.batches.batch import Batch, BoxTarget, Sample, stack_images
from mitorch_service.training.networks.network import Network, build_detection_network
from mitorch_service.training.tasks.base import Evaluator, Task, sum_of_losses
from mitorch_service.training.tasks.detection_evaluator import DetectionEvaluator


class DetectionTask(Task):
    """Boxes with classes. Images without boxes take part in training as negatives."""

    name = "object_detection"
    kind = "detection"

    def build_network(self, config: ModelConfig, classes: int) -> Network:
        return build_detection_network(config, classes)

    def collate(self, samples: Sequence[Sample], classes: int) -> Batch:
        return Batch(stack_images(samples), [cast("BoxTarget", target) for _, target in samples])

    def loss(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> Tensor:
        """Returns the sum of the detector's losses (boxes, classes, …), weighted as in its paper."""
        return sum_of_losses(self.losses(module, batch, config))

    def losses(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> dict[str, Tensor]:
        """Returns torchvision's losses, without the ``loss_`` before their names."""
        parts: dict[str, Tensor] = module(list(batch.images), batch.targets)
        return {name.removeprefix("loss_"): part.float() for name, part in parts.items()}

    def evaluator(
        self, network: Network, classes: Sequence[str], config: TrainingConfig, device: torch.device
    ) -> Evaluator:
        return DetectionEvaluator(network, classes, config.eval_confidence)
