"""Compares what an exported network gives with what the network itself gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def largest_difference(found: Sequence[Tensor], expected: Sequence[Tensor], input_size: int, least: float = 0) -> float:
    """Returns the largest difference of a probability, a score, or a side of a box as a part of `input_size`; infinite
    for other shapes or classes, and values that are not finite.

    Both are `CLASSIFIED`, or `DETECTED` of one image: there each box with a score from `least` on is compared with the
    most similar one of its class on the other side. Of the many with small scores, of which the last digit decides
    which one suppresses which, others may be left.
    """
    if len(expected) == 1:
        return _difference(found[0], expected[0])
    (boxes, scores, labels), (true_boxes, true_scores, true_labels) = found, expected
    sure, truly_sure = scores >= least, true_scores >= least
    if not sure.any() and not truly_sure.any():
        return 0.0
    if not len(scores) or not len(true_scores):
        return math.inf
    apart = (boxes[:, None] - true_boxes[None]).abs().amax(2) / input_size
    apart = torch.maximum(apart, (scores[:, None] - true_scores[None]).abs())
    apart = torch.where(labels[:, None] == true_labels[None], apart, math.inf)
    nearest = torch.cat([apart.amin(1)[sure], apart.amin(0)[truly_sure]])
    return float(nearest.max().nan_to_num(math.inf, posinf=math.inf))


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return math.inf
    return float((found.float() - expected.float()).abs().max().nan_to_num(math.inf, posinf=math.inf))
