"""The base of both classification evaluators: collects the logits of a whole data set."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mitorch_service.models.config.training_config import metrics_for
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.networks.network import Network
from mitorch_service.training.plots.precision_recall import draw_precision_recall
from mitorch_service.training.plots.predictions import Row, write_predictions
from mitorch_service.training.plots.sheet import Picture
from mitorch_service.training.plots.table import write_table
from mitorch_service.training.tasks.base import Evaluator
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from mitorch_service.training.tasks.grid_files import write_grid
from mitorch_service.training.tasks.threshold_grid import ThresholdGrid
from mitorch_service.training.tasks.worst_mistakes import WorstMistakes

_CLASS_METRICS = ("samples", "precision", "recall", "f1", "average_precision")


class LogitsEvaluator(Evaluator):
    """Keeps all logits on the device (4 bytes per sample and class), because average precision needs them all."""

    task: str

    def __init__(self, network: Network, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._logits: list[Tensor] = []  # of each batch
        self._targets: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._worst = WorstMistakes(network.mean, network.std)

    def update(self, module: nn.Module, batch: Batch) -> None:
        targets = cast("Tensor", batch.targets)
        logits = module(batch.images).float()
        losses = self.sample_losses(logits, targets)
        self._logits.append(logits)
        self._targets.append(targets)
        self._losses.append(losses.sum())
        self._worst.add(batch.images, torch.where(self.mistaken(logits, targets), losses, torch.zeros_like(losses)))

    def loss(self) -> float:
        samples = sum(map(len, self._targets))
        return sum(torch.stack(self._losses).tolist()) / samples if samples else math.nan

    def metrics(self) -> dict[str, float]:
        if not self._usable():
            return dict.fromkeys(metrics_for(self.task, len(self.classes)), math.nan)
        logits, targets = self._all()
        with _no_warnings():
            by_class = self.class_metrics(logits, targets)
            overall = self.overall_metrics(logits, targets)
        present = by_class[0] > 0
        names = ("precision", "recall", "f1", "average_precision")
        means = {name: column[present].mean().item() for name, column in zip(names, by_class[1:], strict=True)}
        return {name: {**overall, **means}[name] for name in metrics_for(self.task, len(self.classes))}

    def per_class(self) -> dict[str, dict[str, float]]:
        if not self._usable():
            return {one: dict.fromkeys(_CLASS_METRICS, math.nan) for one in self.classes}
        with _no_warnings():
            columns = [column.double().tolist() for column in self.class_metrics(*self._all())]
        rows = zip(*columns, strict=True)
        return {one: dict(zip(_CLASS_METRICS, row, strict=True)) for one, row in zip(self.classes, rows, strict=True)}

    def plots(self, folder: Path, images: EvaluatedImages) -> list[Path]:
        if not self._usable():
            return []
        logits, targets = (kept.cpu() for kept in self._all())
        per_class = self.per_class()
        curves = [
            (name, per_class[name]["average_precision"], *self.curve(logits, targets, index))
            for index, name in enumerate(self.classes)
            if per_class[name]["samples"]
        ]
        return [
            write_table(per_class, folder / "per_class.csv"),
            write_predictions(self._rows(logits, targets, images), folder / "predictions.csv"),
            draw_precision_recall(curves, "precision and recall", images.split, folder / "precision_recall.png"),
            *write_grid(self.grid(logits, targets), self.classes, images.split, folder),
            *self.extra_plots(folder, logits, targets, images.split),
            *self._worst.draw(folder, lambda index: self.describe(logits[index], targets[index]), images),
        ]

    def state(self) -> Any:
        kept = [[one.cpu() for one in tensors] for tensors in (self._logits, self._targets, self._losses)]
        return kept, self._worst.state()

    def merge(self, state: Any) -> None:
        kept, worst = state
        for own, more in zip((self._logits, self._targets, self._losses), kept, strict=True):
            own += [one.to(own[0].device) if own else one for one in more]
        self._worst.merge(worst)

    @abstractmethod
    def sample_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of each sample of a batch, float32 (N)."""

    @abstractmethod
    def mistaken(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns whether each sample of a batch is misclassified, bool (N)."""

    @abstractmethod
    def class_metrics(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Returns number of samples, precision, recall, F1 (0 for 0/0) and average precision, each (classes)."""

    @abstractmethod
    def overall_metrics(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        """Returns the metrics that are not means over classes."""

    @abstractmethod
    def grid(self, logits: Tensor, targets: Tensor) -> ThresholdGrid:
        """Counts the predictions of each class by the confidence from which they count."""

    @abstractmethod
    def curve(self, logits: Tensor, targets: Tensor, index: int) -> tuple[list[float], list[float]]:
        """Returns recall, ascending, and precision of one class that has samples."""

    @abstractmethod
    def predictions(self, logits: Tensor, targets: Tensor) -> list[list[Row]]:
        """Returns the predictions for each sample."""

    @abstractmethod
    def extra_plots(self, folder: Path, logits: Tensor, targets: Tensor, split: str) -> list[Path]:
        """Draws the plots that only this task has; returns their paths."""

    @abstractmethod
    def describe(self, logits: Tensor, target: Tensor) -> Picture:
        """Returns the caption of one sample, given its logits and target (both (classes), or a scalar target)."""

    def _rows(self, logits: Tensor, targets: Tensor, images: EvaluatedImages) -> Iterator[tuple[str, Row]]:
        rows = self.predictions(logits, targets)
        return ((images.file(sample), row) for sample in images.in_order() for row in rows[sample])

    def _usable(self) -> bool:
        return bool(self._logits) and all(bool(one.isfinite().all()) for one in self._logits)

    def _all(self) -> tuple[Tensor, Tensor]:
        return torch.cat(self._logits), torch.cat(self._targets)


def score_dtype(logits: Tensor) -> torch.dtype:
    """Returns float64 where the device has it: in float32 the scores of confident samples are all the same, 1."""
    return torch.float32 if logits.device.type == "mps" else torch.float64


def precision_recall_curve(scores: Tensor, positive: Tensor) -> tuple[list[float], list[float]]:
    """Returns recall, ascending, and precision of one class from its scores (N) and labels (N, 1 or True: positive)."""
    from torchmetrics.functional.classification import binary_precision_recall_curve

    precision, recall, _ = binary_precision_recall_curve(scores, positive.long())
    return recall.flip(0).tolist(), precision.flip(0).tolist()


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():  # torchmetrics warns of each class without samples, which we leave out
        warnings.simplefilter("ignore")
        yield
