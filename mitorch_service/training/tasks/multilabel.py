"""Multi-label classification: a sigmoid and binary cross entropy for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mitorch_service.models.config.training_config import BEST_F1, BEST_THRESHOLD, ModelConfig, TrainingConfig
from mitorch_service.training.data.batches.batch import Batch, Sample, stack_images
from mitorch_service.training.networks.network import Network, build_network
from mitorch_service.training.plots.canvas import shorten
from mitorch_service.training.plots.predictions import Row
from mitorch_service.training.plots.sheet import Picture
from mitorch_service.training.tasks.base import Task
from mitorch_service.training.tasks.classification import LogitsEvaluator, precision_recall_curve, score_dtype
from mitorch_service.training.tasks.threshold_grid import ThresholdGrid, count_by_confidence


class MultilabelTask(Task):
    """Any number of classes per image. Targets are float32 (N, classes), 1 for each class that an image has."""

    name = "multilabel_classification"
    kind = "multilabel"

    def build_network(self, config: ModelConfig, classes: int) -> Network:
        return build_network(config, classes)

    def collate(self, samples: Sequence[Sample], classes: int) -> Batch:
        targets = torch.zeros(len(samples), classes)
        for row, (_, labels) in zip(targets, samples, strict=True):
            row[list(labels)] = 1  # type: ignore[arg-type]  # a multilabel set's targets are tuples
        return Batch(stack_images(samples), targets)

    def loss(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> Tensor:
        """Returns the mean over images and classes. Label smoothing s maps targets y to y (1 - s) + s / 2."""
        true, smoothing = cast("Tensor", batch.targets), config.label_smoothing
        return binary_cross_entropy_with_logits(module(batch.images), true * (1 - smoothing) + smoothing / 2)

    def evaluator(
        self, network: Network, classes: Sequence[str], config: TrainingConfig, device: torch.device
    ) -> LogitsEvaluator:
        return MultilabelEvaluator(network, classes, config.eval_confidence)


def probabilities(logits: Tensor) -> Tensor:
    """Returns the sigmoid, of the same shape."""
    return logits.to(score_dtype(logits)).sigmoid()


class MultilabelEvaluator(LogitsEvaluator):
    """Computes macro averages, over the classes that have samples, of average precision, and of precision, recall and
    F1 at scores above `confidence`. Uses torchmetrics. ``best_f1`` is a micro average.

    ``accuracy_50`` is the original MiTorch's: the mean over images of the Jaccard index |true ∩ predicted| /
    |true ∪ predicted| at a score of 0.5, 1 where both are empty.
    """

    task = MultilabelTask.name

    def __init__(self, network: Network, classes: Sequence[str], confidence: float) -> None:
        super().__init__(network, classes)
        self._confidence = confidence

    def sample_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)

    def mistaken(self, logits: Tensor, targets: Tensor) -> Tensor:
        return ((probabilities(logits) > self._confidence) != (targets > 0)).any(1)

    def class_metrics(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        from torchmetrics.functional.classification import (
            multilabel_average_precision,
            multilabel_f1_score,
            multilabel_precision,
            multilabel_recall,
        )

        count, true, scores = max(2, len(self.classes)), targets.long(), probabilities(logits)
        if len(self.classes) == 1:  # torchmetrics takes two or more: the only one twice
            true, scores = true.repeat(1, 2), scores.repeat(1, 2)
        columns = (
            true.sum(0),
            multilabel_precision(scores, true, count, self._confidence, average="none"),
            multilabel_recall(scores, true, count, self._confidence, average="none"),
            multilabel_f1_score(scores, true, count, self._confidence, average="none"),
            multilabel_average_precision(scores, true, count, average="none"),
        )
        support, precision, recall, f1, average = (column[: len(self.classes)] for column in columns)
        return support, precision, recall, f1, average

    def overall_metrics(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        taken, true = logits > 0, targets > 0
        union = (taken | true).sum(1)
        jaccard = torch.where(union > 0, (taken & true).sum(1) / union.clamp(min=1), 1.0)
        f1, threshold = self.grid(logits, targets).best()
        return {"accuracy_50": jaccard.mean().item(), BEST_F1: f1, BEST_THRESHOLD: threshold}

    def grid(self, logits: Tensor, targets: Tensor) -> ThresholdGrid:
        """Each class of an image is a prediction."""
        labels = torch.arange(len(self.classes), device=logits.device).expand(logits.shape).flatten()
        right = (targets > 0).flatten()[None]
        return count_by_confidence(labels, probabilities(logits).flatten(), right, (targets > 0).sum(0), above=True)

    def curve(self, logits: Tensor, targets: Tensor, index: int) -> tuple[list[float], list[float]]:
        return precision_recall_curve(probabilities(logits[:, index]), targets[:, index])

    def predictions(self, logits: Tensor, targets: Tensor) -> list[list[Row]]:
        """Returns a row for each class that a sample has or is predicted to have; for a sample without any, an empty
        one."""
        rows: list[list[Row]] = [[] for _ in logits]
        scores, true = probabilities(logits), targets > 0
        taken = scores > self._confidence
        for sample, index in (true | taken).nonzero().tolist():
            name, right, found = self.classes[index], bool(true[sample, index]), bool(taken[sample, index])
            score = scores[sample, index].item()
            rows[sample].append(Row(name if right else "", name if found else "", score, right == found))
        return [one or [Row("", "", None, correct=True)] for one in rows]

    def extra_plots(self, folder: Path, logits: Tensor, targets: Tensor, split: str) -> list[Path]:
        return []

    def describe(self, logits: Tensor, target: Tensor) -> Picture:
        taken = probabilities(logits) > self._confidence
        missed, wrong = (target > 0) & ~taken, (target == 0) & taken
        title = f"missed: {self._names(missed)}\nwrong: {self._names(wrong)}"
        return Picture(title, group=title)

    def _names(self, chosen: Tensor) -> str:
        names = [shorten(self.classes[index], 12) for index in chosen.nonzero()[:, 0].tolist()]
        return ", ".join(names[:3]) + ", …" * (len(names) > 3) if names else "-"
