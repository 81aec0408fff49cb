"""Precision, recall and F1 by the confidence from which a prediction counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]

CONFIDENCES = tuple(one / 100 for one in range(1, 100))  # 0.01 to 0.99
NO_CONDITION = (0.0,)  # the only "IoU" of classification


@dataclass(frozen=True)
class ThresholdGrid:
    """Counts of predictions from each of `CONFIDENCES` on."""

    right: Counts  # (classes, IoUs, confidences): predictions that are right at an IoU
    taken: Counts  # (classes, confidences): predictions
    true: Counts  # (classes): samples or boxes that a class has
    ious: tuple[float, ...] = NO_CONDITION

    def overall(self) -> ThresholdGrid:
        """Sums the classes up to one, as micro averages do."""
        right, taken, true = (one.sum(0, keepdims=True) for one in (self.right, self.taken, self.true))
        return ThresholdGrid(right, taken, true, self.ious)

    def precision(self) -> Rates:
        """Returns right / taken (classes, IoUs, confidences), 0 for 0/0."""
        return self.right / np.maximum(self.taken[:, None], 1)

    def recall(self) -> Rates:
        """Returns right / true (classes, IoUs, confidences), 0 for 0/0."""
        return self.right / np.maximum(self.true[:, None, None], 1)

    def f1(self) -> Rates:
        """Returns 2 right / (taken + true) (classes, IoUs, confidences), 0 for 0/0."""
        found: Rates = 2 * self.right / np.maximum(self.taken[:, None] + self.true[:, None, None], 1)
        return found

    def best(self) -> tuple[float, float]:
        """Returns the highest F1 over all classes (micro average) at the first IoU, and the confidence that reaches it:
        of several the middle one, which is the least sensitive to other images."""
        f1 = self.overall().f1()[0, 0]
        ties = np.flatnonzero(f1 == f1.max())
        return float(f1.max()), CONFIDENCES[int(ties[len(ties) // 2])]


def count_by_confidence(
    labels: Tensor,
    scores: Tensor,
    right: Tensor,
    true: Tensor,
    ious: tuple[float, ...] = NO_CONDITION,
    above: bool = False,
) -> ThresholdGrid:
    """Counts M predictions: their classes int64 (M), scores (M) and whether they are right, bool (IoUs, M); `true` is
    int64 (classes). `above`: a score counts above a confidence, not on it."""
    steps = len(CONFIDENCES) + 1
    limits = torch.tensor(CONFIDENCES, dtype=scores.dtype, device=scores.device)
    reached = torch.bucketize(scores, limits, right=not above)
    cells = (labels * steps + reached).cpu()

    def at_least(chosen: Tensor) -> Counts:
        exactly = chosen.bincount(minlength=len(true) * steps).numpy().reshape(len(true), steps)
        reversed_sums: Counts = exactly[:, :0:-1].cumsum(1)
        return reversed_sums[:, ::-1]

    return ThresholdGrid(
        np.stack([at_least(cells[one]) for one in right.cpu()], 1), at_least(cells), true.cpu().numpy(), ious
    )
