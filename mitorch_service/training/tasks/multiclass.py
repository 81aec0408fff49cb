"""Single-label classification: softmax and cross entropy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mitorch_service.models.config.training_config import ModelConfig, TrainingConfig
from mitorch_service.training.data.batches.batch import Batch, Sample, stack_images
from mitorch_service.training.networks.network import Network, build_network
from mitorch_service.training.plots.canvas import shorten
from mitorch_service.training.plots.confusion import draw_confusion
from mitorch_service.training.plots.predictions import Row
from mitorch_service.training.plots.sheet import Picture
from mitorch_service.training.tasks.base import Task
from mitorch_service.training.tasks.classification import LogitsEvaluator, precision_recall_curve, score_dtype
from mitorch_service.training.tasks.threshold_grid import ThresholdGrid, count_by_confidence


class MulticlassTask(Task):
    """One class per image. Targets are int64 (N), or float32 weights (N, classes) after mixup or cutmix."""

    name = "multiclass_classification"
    kind = "multiclass"

    def build_network(self, config: ModelConfig, classes: int) -> Network:
        return build_network(config, classes)

    def collate(self, samples: Sequence[Sample], classes: int) -> Batch:
        return Batch(stack_images(samples), torch.tensor([target for _, target in samples]))

    def loss(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> Tensor:
        targets = cast("Tensor", batch.targets)
        return cross_entropy(module(batch.images), targets, label_smoothing=config.label_smoothing)

    def evaluator(
        self, network: Network, classes: Sequence[str], config: TrainingConfig, device: torch.device
    ) -> LogitsEvaluator:
        return MulticlassEvaluator(network, classes)


def probabilities(logits: Tensor) -> Tensor:
    """Returns the softmax (N, classes), which torchmetrics would leave out for logits that all lie in 0..1."""
    return logits.softmax(1, dtype=score_dtype(logits))


class MulticlassEvaluator(LogitsEvaluator):
    """Computes top-1 accuracy, top-5 accuracy of six or more classes, and macro averages, over the classes that
    have samples, of precision, recall, F1 and one-vs-rest average precision. Uses torchmetrics."""

    task = MulticlassTask.name

    def sample_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(logits, targets, reduction="none")

    def mistaken(self, logits: Tensor, targets: Tensor) -> Tensor:
        return logits.argmax(1) != targets

    # torchmetrics is imported where it computes, because its import would delay the first training step
    def class_metrics(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        from torchmetrics.functional.classification import (
            multiclass_average_precision,
            multiclass_f1_score,
            multiclass_precision,
            multiclass_recall,
        )

        count = len(self.classes)
        return (
            targets.bincount(minlength=count),
            multiclass_precision(logits, targets, count, average="none"),
            multiclass_recall(logits, targets, count, average="none"),
            multiclass_f1_score(logits, targets, count, average="none"),
            multiclass_average_precision(probabilities(logits), targets, count, average="none"),
        )

    def overall_metrics(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        from torchmetrics.functional.classification import multiclass_accuracy

        count = len(self.classes)
        top5 = multiclass_accuracy(logits, targets, count, top_k=min(5, count), average="micro")
        top1 = multiclass_accuracy(logits, targets, count, average="micro")
        return {"top1_accuracy": top1.item(), "top5_accuracy": top5.item()}

    def grid(self, logits: Tensor, targets: Tensor) -> ThresholdGrid:
        """An image's prediction is its most probable class."""
        scores, labels = probabilities(logits).max(1)
        true = targets.bincount(minlength=len(self.classes))
        return count_by_confidence(labels, scores, (labels == targets)[None], true)

    def curve(self, logits: Tensor, targets: Tensor, index: int) -> tuple[list[float], list[float]]:
        return precision_recall_curve(probabilities(logits)[:, index], targets == index)

    def predictions(self, logits: Tensor, targets: Tensor) -> list[list[Row]]:
        scores, labels = probabilities(logits).max(1)
        rows = zip(targets.tolist(), labels.tolist(), scores.tolist(), strict=True)
        return [[Row(self.classes[true], self.classes[taken], score, true == taken)] for true, taken, score in rows]

    def extra_plots(self, folder: Path, logits: Tensor, targets: Tensor, split: str) -> list[Path]:
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        counts = multiclass_confusion_matrix(logits, targets, len(self.classes)).numpy()
        return [draw_confusion(counts, self.classes, split, folder / "confusion_matrix.png")]

    def describe(self, logits: Tensor, target: Tensor) -> Picture:
        score, label = logits.softmax(0).max(0)
        true, taken = shorten(self.classes[int(target)]), shorten(self.classes[int(label)])
        return Picture(f"{true}\ntaken for {taken} {score:.2f}", group=f"{int(target)} {int(label)}")
