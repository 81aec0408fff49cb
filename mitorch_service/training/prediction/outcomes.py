"""Turns the outputs of a network into labels and boxes: the same scores as those of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.errors import ModelError
from mitorch_service.training.augmentation.pipeline import Augmentation
from mitorch_service.training.augmentation.placement import Placement
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.tasks import multiclass, multilabel

Found = tuple[tuple[Label, ...], tuple[Box, ...]]
Size = tuple[int, int]


@dataclass(frozen=True)
class Choice:
    """The predictions of an image that count."""

    threshold: float  # multiclass and detection: scores from it on; multilabel: above it, as in an evaluation
    top: int | None = None  # at most as many; None: all


class Labelling:
    """Reads the outputs of classifiers."""

    def __init__(self, task_type: str, classes: Sequence[str]) -> None:
        self._classes = classes
        self._exclusive = task_type == multiclass.MulticlassTask.name

    def __call__(self, module: nn.Module, batch: Batch, choice: Choice) -> list[Found]:
        """Returns the labels of each image of a batch, the most probable first."""
        logits = module(batch.images).float()
        scores = (multiclass if self._exclusive else multilabel).probabilities(logits).cpu()
        _check_finite(scores)
        ranked, order = torch.sort(scores, dim=1, descending=True, stable=True)
        counts = (ranked >= choice.threshold if self._exclusive else ranked > choice.threshold).sum(1).tolist()
        most = scores.shape[1] if choice.top is None else choice.top
        rows = zip(counts, ranked[:, :most].tolist(), order[:, :most].tolist(), strict=True)
        return [(self._labels(values[:count], labels[:count]), ()) for count, values, labels in rows]

    def _labels(self, scores: Sequence[float], labels: Sequence[int]) -> tuple[Label, ...]:
        return tuple(Label(self._classes[label], score) for score, label in zip(scores, labels, strict=True))


class Boxing:
    """Reads the outputs of detectors."""

    def __init__(self, classes: Sequence[str], augmentation: Augmentation) -> None:
        """`augmentation`: of fixed steps, which placed the images in the network's input."""
        self._classes = classes
        self._augmentation = augmentation
        self._placements: dict[Size, Placement] = {}

    def __call__(self, module: nn.Module, batch: Batch, choice: Choice) -> list[Found]:
        """Returns the boxes of each image of a batch, the highest score first."""
        assert isinstance(batch.targets, Tensor)
        sizes = [(width, height) for width, height in batch.targets.tolist()]
        detections: list[dict[str, Tensor]] = module(list(batch.images))
        return [((), self._boxes(one, size, choice)) for one, size in zip(detections, sizes, strict=True)]

    def _boxes(self, detection: dict[str, Tensor], size: Size, choice: Choice) -> tuple[Box, ...]:
        scores = detection["scores"].float().cpu()
        corners = detection["boxes"].float().cpu()
        _check_finite(scores, corners)
        kept = (scores >= choice.threshold).nonzero()[:, 0]
        kept = kept[scores[kept].argsort(descending=True, stable=True)][: choice.top]
        if size not in self._placements:
            self._placements[size] = self._augmentation.placement(size)
        original = self._placements[size].original(corners[kept]).tolist()
        labels = detection["labels"].cpu()[kept].tolist()
        rows = zip(labels, original, scores[kept].tolist(), strict=True)
        return tuple(
            Box(self._classes[label], left, top, right, bottom, score)
            for label, (left, top, right, bottom), score in rows
        )


def annotated(path: str, size: Sequence[int], found: Found) -> AnnotatedImage:
    """Builds the document of one image."""
    width, height = size
    labels, boxes = found
    return AnnotatedImage(path, width, height, boxes, labels)


def _check_finite(*values: Tensor) -> None:
    if not all(bool(torch.isfinite(one).all()) for one in values):
        raise ModelError(
            "The network gives values that are not finite. Its weights are damaged, or its training failed."
        )
