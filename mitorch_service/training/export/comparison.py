"""Compares what an exported network gives with what the network itself gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def largest_difference(found: Sequence[Tensor], expected: Sequence[Tensor], input_size: int) -> float:
    """Returns the largest difference of a probability, a score, or a side of a box as a part of `input_size`; infinite
    for other shapes, numbers of boxes or classes, and values that are not finite.

    Both are `CLASSIFIED`, or `DETECTED` of one image: there each box is compared with the most similar of its class.
    """
    if len(expected) == 1:
        return _difference(found[0], expected[0])
    boxes, scores, labels = expected
    if found[1].shape != scores.shape:
        return math.inf
    if not len(scores):
        return 0.0
    apart = (found[0][:, None] - boxes[None]).abs().amax(2) / input_size
    apart = torch.maximum(apart, (found[1][:, None] - scores[None]).abs())
    apart = torch.where(found[2][:, None] == labels[None], apart, math.inf)
    nearest = torch.maximum(apart.amin(0).max(), apart.amin(1).max())  # each has its like on the other side
    return float(nearest.nan_to_num(math.inf))


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return math.inf
    return float((found.float() - expected.float()).abs().max().nan_to_num(math.inf))
