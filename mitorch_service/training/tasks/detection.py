"""Object detection: the loss is the detector's own, and it is measured as COCO does and by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mitorch_service.models.config import ModelConfig, TrainingConfig
from mitorch_service.training.data.batch import Batch, BoxTarget, Sample, stack_images
from mitorch_service.training.networks.network import Network, build_detection_network
from mitorch_service.training.tasks.base import Evaluator, Task
from mitorch_service.training.tasks.detection_evaluator import DetectionEvaluator


class DetectionTask(Task):
    """Boxes with classes; an image without a box is a clean one, and trains too."""

    name = "object_detection"
    kind = "detection"

    def build_network(self, config: ModelConfig, classes: int) -> Network:
        return build_detection_network(config, classes)

    def collate(self, samples: Sequence[Sample], classes: int) -> Batch:
        return Batch(stack_images(samples), [cast("BoxTarget", target) for _, target in samples])

    def loss(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> Tensor:
        """The sum of the parts (of boxes, of classes …), as the papers weigh them."""
        parts: dict[str, Tensor] = module(list(batch.images), batch.targets)
        return torch.stack([part.float() for part in parts.values()]).sum()

    def evaluator(
        self, network: Network, classes: Sequence[str], config: TrainingConfig, device: torch.device
    ) -> Evaluator:
        return DetectionEvaluator(network, classes, config.eval_confidence)
