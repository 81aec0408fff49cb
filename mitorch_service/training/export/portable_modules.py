"""Networks as other programs run them: tensors in, tensors out, without the training's own forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from mitorch_service.training.tasks.multiclass import MulticlassTask

INPUT = "images"  # float32 (N, 3, input_size, input_size), RGB, normalised by the preprocessing's mean and std
CLASSIFIED = ("scores",)  # float32 (N, classes)
DETECTED = ("boxes", "scores", "labels")  # of one image: float32 (K, 4) in pixels of the input, float32 (K), int64 (K)
_FAR = 4.0  # times the input size: boxes of different classes are moved apart by it, and overlap no longer


class PortableClassifier(nn.Module):
    """Gives probabilities, as `mipredict` does, not logits."""

    def __init__(self, module: nn.Module, task_type: str) -> None:
        super().__init__()
        self.module = module
        self._exclusive = task_type == MulticlassTask.name

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images).float()
        return logits.softmax(1) if self._exclusive else logits.sigmoid()


class PortableDetector(nn.Module):
    """Takes one image, as a batch of one; gives its boxes, the surest first."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found: dict[str, Tensor] = self.module([images[0]])[0]
        return found["boxes"], found["scores"], found["labels"]


@contextmanager
def traceable_suppression(input_size: int) -> Iterator[None]:
    """Replaces torchvision's suppression of overlapping boxes, class by class, by one without branches that depend on
    the number of boxes, which no exporter can follow. The boxes lie within the input, so that moving each class by a
    constant gives the same result."""

    def suppressed(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float) -> Tensor:
        moved = boxes + (classes.to(boxes) * (_FAR * input_size))[:, None]
        kept: Tensor = torch.ops.torchvision.nms(moved, scores, threshold)
        return kept

    original = torchvision.ops.boxes.batched_nms
    torchvision.ops.boxes.batched_nms = suppressed
    try:
        yield
    finally:
        torchvision.ops.boxes.batched_nms = original


@contextmanager
def plain_attention(module: nn.Module) -> Iterator[None]:
    """Lets timm's attention compute by matrix products. The fused operation's result has other strides while it is
    traced than it has when it runs, which some models cannot be traced with (MaxViT)."""
    fused: list[Any] = [part for part in module.modules() if getattr(part, "fused_attn", False)]
    for part in fused:
        part.fused_attn = False
    try:
        yield
    finally:
        for part in fused:
            part.fused_attn = True
