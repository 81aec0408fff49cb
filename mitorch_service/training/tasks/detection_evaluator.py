"""Evaluates a detector: COCO's average precision, and how well it separates images with objects from those without."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.ssd import SSD

from mitorch_service.models.config.training_config import BEST_F1, BEST_THRESHOLD, metrics_for
from mitorch_service.training.data.batches.batch import Batch, BoxTarget
from mitorch_service.training.networks.network import Network
from mitorch_service.training.plots.canvas import shorten
from mitorch_service.training.plots.confusion import draw_confusion
from mitorch_service.training.plots.precision_recall import draw_precision_recall
from mitorch_service.training.plots.predictions import Row, write_predictions
from mitorch_service.training.plots.sheet import DrawnBox, Picture
from mitorch_service.training.plots.table import write_table
from mitorch_service.training.tasks.base import Evaluator
from mitorch_service.training.tasks.box_grid import box_grid
from mitorch_service.training.tasks.box_metrics import (
    Detection,
    average_precisions,
    confusion_counts,
    image_metrics,
    match,
)
from mitorch_service.training.tasks.box_predictions import box_rows
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from mitorch_service.training.tasks.grid_files import write_grid
from mitorch_service.training.tasks.worst_mistakes import WorstMistakes

_TORCHVISION = (GeneralizedRCNN, RetinaNet, FCOS, SSD)
_AS_IN_EVALUATION = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, DropPath)


class DetectionEvaluator(Evaluator):
    """Keeps all detections and true boxes in main memory.

    ``mAP`` is COCO's, averaged over IoU 0.5 to 0.95; ``mAP_30`` … are at one IoU; all use at most 100 detections per
    image. ``best_f1`` is at IoU 0.5, the micro average over all classes. ``image_…`` count images: predicted positive
    with a detection that scores at least `confidence`, positive with a true box. The loss is computed in training mode
    without gradients, but with batch norm and dropout as in evaluation.
    """

    def __init__(self, network: Network, classes: Sequence[str], confidence: float) -> None:
        self.classes = tuple(classes)
        self._confidence = confidence
        self._detections: list[Detection] = []
        self._targets: list[BoxTarget] = []
        self._losses: list[Tensor] = []  # the mean loss of each batch, times its number of images
        self._worst = WorstMistakes(network.mean, network.std)

    def update(self, module: nn.Module, batch: Batch) -> None:
        targets = cast("list[BoxTarget]", batch.targets)
        images = list(batch.images)
        with _features_computed_once(module):
            detections: list[Detection] = module(images)
            with _losses_instead(module), _own_random_numbers(images[0].device):
                parts: dict[str, Tensor] = module(images, targets)
        self._losses.append(torch.stack([part.float() for part in parts.values()]).sum() * len(batch))
        detected = [{name: _single(one[name]).cpu() for name in _PARTS} for one in detections]
        true = [{name: target[name].cpu() for name in ("boxes", "labels")} for target in targets]
        self._detections += detected
        self._targets += true
        errors = [match(one, other, self._confidence).error for one, other in zip(detected, true, strict=True)]
        self._worst.add(images, torch.tensor(errors))

    def loss(self) -> float:
        samples = len(self._targets)
        return sum(torch.stack(self._losses).tolist()) / samples if samples else math.nan

    def metrics(self) -> dict[str, float]:
        if not self._usable():
            return dict.fromkeys(metrics_for("object_detection", len(self.classes)), math.nan)
        precisions = average_precisions(self._detections, self._targets, len(self.classes))
        named = {"mAP": precisions.mean(), **{f"mAP_{iou}": precisions.mean(iou) for iou in (30, 50, 75, 90)}}
        found = {**named, **image_metrics(self._detections, self._targets, self._confidence)}
        f1, threshold = box_grid(self._detections, self._targets, len(self.classes)).best()
        return {**found, BEST_F1: f1, BEST_THRESHOLD: threshold}

    def per_class(self) -> dict[str, dict[str, float]]:
        names = ("boxes", "mAP", "mAP_50", "precision", "recall", "f1")
        if not self._usable():
            return {one: dict.fromkeys(names, math.nan) for one in self.classes}
        precisions = average_precisions(self._detections, self._targets, len(self.classes))
        counts = confusion_counts(self._detections, self._targets, len(self.classes), self._confidence)
        return {
            one: dict(zip(names, (*precisions.for_class(index), *_rates(counts, index)), strict=True))
            for index, one in enumerate(self.classes)
        }

    def plots(self, folder: Path, images: EvaluatedImages) -> list[Path]:
        if not self._usable():
            return []
        precisions = average_precisions(self._detections, self._targets, len(self.classes))
        counts = confusion_counts(self._detections, self._targets, len(self.classes), self._confidence)
        grid = box_grid(self._detections, self._targets, len(self.classes))
        curves = [
            (name, precisions.for_class(index)[2], *precisions.curve(index))
            for index, name in enumerate(self.classes)
            if precisions.boxes[index]
        ]
        with_background = (*self.classes, "(nothing)")
        return [
            write_table(self.per_class(), folder / "per_class.csv"),
            write_predictions(self._rows(images), folder / "predictions.csv", boxes=True),
            draw_precision_recall(
                curves, "precision and recall at IoU 0.5", images.split, folder / "precision_recall.png"
            ),
            draw_confusion(counts, with_background, images.split, folder / "confusion_matrix.png"),
            *self._image_confusion(folder, images.split),
            *write_grid(grid, self.classes, images.split, folder),
            *self._worst.draw(folder, self._describe, images),
        ]

    def _image_confusion(self, folder: Path, split: str) -> list[Path]:
        """Draws and writes how many images with an object, and without one, are found to have one."""
        found = image_metrics(self._detections, self._targets, self._confidence)
        counts = np.array([[found[f"image_{name}"] for name in row] for row in _IMAGE_COUNTS], np.int64)
        table = {
            true: {f"predicted {taken}": float(count) for taken, count in zip(_IMAGE_CLASSES, row, strict=True)}
            for true, row in zip(_IMAGE_CLASSES, counts, strict=True)
        }
        return [
            draw_confusion(counts, _IMAGE_CLASSES, split, folder / "image_confusion_matrix.png"),
            write_table(table, folder / "image_confusion_matrix.csv"),
        ]

    def state(self) -> Any:
        return self._detections, self._targets, [one.cpu() for one in self._losses], self._worst.state()

    def merge(self, state: Any) -> None:
        detections, targets, losses, worst = state
        self._detections += detections
        self._targets += targets
        self._losses += [one.to(self._losses[0].device) if self._losses else one for one in losses]
        self._worst.merge(worst)

    def _usable(self) -> bool:
        values = (value for one in self._detections for value in (one["boxes"], one["scores"]))
        return bool(self._targets) and all(bool(value.isfinite().all()) for value in values)

    def _rows(self, images: EvaluatedImages) -> Iterator[tuple[str, Row]]:
        for sample in images.in_order():
            detection, target = self._detections[sample], self._targets[sample]
            boxes, true_boxes = (images.original(sample, one["boxes"]) for one in (detection, target))
            for row in box_rows(detection, target, self.classes, self._confidence, boxes, true_boxes):
                yield images.file(sample), row

    def _describe(self, index: int) -> Picture:
        target, detection = self._targets[index], self._detections[index]
        found = match(detection, target, self._confidence)
        boxes = [
            DrawnBox(tuple(corners), shorten(self.classes[label], 12), true=True)
            for corners, label in zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True)
        ]
        shown = found.considered
        for corners, label, score in zip(*(detection[name][shown].tolist() for name in _PARTS), strict=True):
            boxes.append(DrawnBox(tuple(corners), f"{shorten(self.classes[label], 12)} {score:.2f}", true=False))
        title = f"{found.missed} missed, {found.wrong} wrong"
        return Picture(title, boxes, group=title)


_PARTS = ("boxes", "labels", "scores")
_IMAGE_CLASSES = ("with objects", "without")
_IMAGE_COUNTS = (("true_positives", "false_negatives"), ("false_positives", "true_negatives"))  # true, by predicted


def _single(values: Tensor) -> Tensor:
    """Converts to float32: under autocast, detections may be in half precision."""
    return values.float() if values.is_floating_point() else values


def _rates(counts: Any, index: int) -> tuple[float, float, float]:
    """Returns precision, recall and F1 of a class, 0 for 0/0."""
    right, taken, true = (float(one) for one in (counts[index, index], counts[:, index].sum(), counts[index].sum()))
    return right / max(taken, 1), right / max(true, 1), 2 * right / max(taken + true, 1)


@contextmanager
def _losses_instead(module: nn.Module) -> Iterator[None]:
    """Switches to training mode, in which a detector returns losses, except for batch norm and dropout layers."""
    module.train()
    for part in module.modules():
        if isinstance(part, _AS_IN_EVALUATION):
            part.eval()
    try:
        yield
    finally:
        module.eval()


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Fixes the seed, because Faster R-CNN samples boxes for its loss, and restores the generators afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        yield


@contextmanager
def _features_computed_once(module: nn.Module) -> Iterator[None]:
    """Caches the backbone's output, because torchvision's detectors run twice on the same images."""
    if not isinstance(module, _TORCHVISION):
        yield
        return
    backbone = cast("nn.Module", module.backbone)
    forward = backbone.forward
    kept: list[Any] = []

    def once(images: Tensor) -> Any:
        if not kept:
            kept.append(forward(images))
        return kept[0]

    backbone.forward = once
    try:
        yield
    finally:
        del backbone.forward  # restores the class's method
