"""Counts right detections by confidence and IoU, in one go over the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from mitorch_service.training.data.batches.batch import BoxTarget
from mitorch_service.training.tasks.box_metrics import Detection
from mitorch_service.training.tasks.threshold_grid import CONFIDENCES, ThresholdGrid, count_by_confidence

GRID_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
_LIMITS = np.array(GRID_IOUS, np.float32)[:, None]


def box_grid(detections: Sequence[Detection], targets: Sequence[BoxTarget], classes: int) -> ThresholdGrid:
    """Matches as COCO does, for each IoU by itself: by descending score, each detection takes the free true box of its
    class with the highest IoU, if that is high enough. It is right if it got one.

    What a detection gets depends on those of higher scores only: one matching serves every confidence.
    """
    empty = torch.zeros(0)
    labels, scores, right = [empty.long()], [empty], [np.zeros((len(GRID_IOUS), 0), np.bool_)]
    for detection, target in zip(detections, targets, strict=True):
        order = detection["scores"].argsort(descending=True, stable=True)
        order = order[detection["scores"][order] >= CONFIDENCES[0]]
        labels.append(detection["labels"][order])
        scores.append(detection["scores"][order])
        overlap = box_iou(detection["boxes"][order], target["boxes"])
        overlap[labels[-1][:, None] != target["labels"][None]] = 0
        right.append(_match_each(overlap.numpy()))
    true = torch.cat([empty.long(), *(target["labels"] for target in targets)]).bincount(minlength=classes)
    found = torch.from_numpy(np.concatenate(right, 1))
    return count_by_confidence(torch.cat(labels), torch.cat(scores), found, true, GRID_IOUS)


def _match_each(overlap: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Returns which detections are right at each IoU (IoUs, K), from their overlaps (K, true boxes)."""
    right = np.zeros((len(GRID_IOUS), len(overlap)), np.bool_)
    if not overlap.size:
        return right
    free = np.ones((len(GRID_IOUS), overlap.shape[1]), np.bool_)
    ious = np.arange(len(GRID_IOUS))
    for row in np.flatnonzero(overlap.max(1) >= _LIMITS[0, 0]):
        open_to = np.where(free, overlap[row], 0)
        chosen = open_to.argmax(1)
        right[:, row] = open_to[ious, chosen] >= _LIMITS[:, 0]
        free[ious[right[:, row]], chosen[right[:, row]]] = False
    return right
