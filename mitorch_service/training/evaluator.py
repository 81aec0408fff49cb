"""The validation figures: mean loss, top-1 and top-5 accuracy, average precision."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassAccuracy, MulticlassAveragePrecision


class Evaluator:
    """Collects the logits of a whole data set, then computes. One is for one pass."""

    def __init__(self, classes: int, device: torch.device) -> None:
        top5 = min(5, classes)
        self._top1 = MulticlassAccuracy(classes, average="micro").to(device)
        self._top5 = MulticlassAccuracy(classes, top_k=top5, average="micro").to(device)
        self._precision = MulticlassAveragePrecision(classes, average="none").to(device)
        self._present = torch.zeros(classes, dtype=torch.long, device=device)
        self._loss, self._samples, self._finite = 0.0, 0, True

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Adds a batch: logits (N, classes), labels (N), both on the evaluator's device."""
        logits = logits.float()
        self._loss += cross_entropy(logits, labels, reduction="sum").item()
        self._samples += len(labels)
        self._present += labels.bincount(minlength=len(self._present))
        self._finite = self._finite and bool(logits.isfinite().all())
        if self._finite:
            for metric in (self._top1, self._top5, self._precision):
                metric.update(logits, labels)

    def loss(self) -> float:
        """The mean cross entropy over all samples; NaN without any."""
        return self._loss / self._samples if self._samples else math.nan

    def metrics(self) -> dict[str, float]:
        """``top1_accuracy``, ``top5_accuracy`` (top n of n < 5 classes) and ``average_precision``.

        `average_precision` is the area under the precision-recall curve of each class against the rest,
        averaged over the classes that have samples. All are in 0..1; NaN without samples, or if a logit was
        not finite.
        """
        if not self._finite or not self._samples:
            return dict.fromkeys(("top1_accuracy", "top5_accuracy", "average_precision"), math.nan)
        return {
            "top1_accuracy": self._top1.compute().item(),
            "top5_accuracy": self._top5.compute().item(),
            "average_precision": self._mean_precision(),
        }

    def _mean_precision(self) -> float:
        with warnings.catch_warnings():  # torchmetrics warns of each class without samples; they are left out
            warnings.simplefilter("ignore")
            per_class = self._precision.compute()
        return per_class[self._present > 0].mean().item()
