"""Metrics of detections against true boxes: plain functions of lists with one entry per image.

Boxes are float32 (x_min, y_min, x_max, y_max) in pixels; classes are numbered from 0.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from mitorch_service.training.data.batches.batch import BoxTarget

Detection = dict[str, Tensor]  # "boxes" float32 (K, 4), "scores" float32 (K), "labels" int64 (K)

# The thresholds of pycocotools, to the last bit: a recall or an IoU often falls exactly on one of them.
_IOUS = (0.3, *np.linspace(0.5, 0.95, 10).tolist())
_COCO = slice(1, None)  # 0.5 to 0.95
_RECALLS = np.linspace(0, 1, 101)
_MATCHED = 0.5  # the smallest IoU at which a detection matches a box


@dataclass(frozen=True)
class AveragePrecisions:
    """COCO's precision by IoU, recall and class; NaN for classes without boxes."""

    precision: NDArray[np.float64]  # (11 IoUs, 101 recalls, classes)
    boxes: NDArray[np.int64]  # (classes): the number of true boxes

    def mean(self, iou: int | None = None) -> float:
        """Returns mAP over the classes that have boxes, at one IoU (in hundredths) or averaged over COCO's ten
        (0.5 to 0.95); NaN without any box."""
        chosen = self.precision[_COCO if iou is None else [_place(iou)]]
        return float(np.nanmean(chosen)) if self.boxes.any() else float("nan")

    def for_class(self, index: int) -> tuple[int, float, float]:
        """Returns the number of true boxes, AP averaged over COCO's IoUs, and AP at IoU 0.5."""
        precision = self.precision[:, :, index]
        return int(self.boxes[index]), float(precision[_COCO].mean()), float(precision[1].mean())

    def curve(self, index: int) -> tuple[list[float], list[float]]:
        """Returns 101 recalls, ascending, and the precision at each, at IoU 0.5."""
        return _RECALLS.tolist(), self.precision[1, :, index].tolist()


@dataclass(frozen=True)
class Match:
    """The matching of one image's detections with its true boxes."""

    considered: Tensor  # int64: indices of the detections at or above the confidence, highest score first
    pairs: list[tuple[int, int]]  # (true box, detection), whether or not their classes agree
    wrong: int  # detections without a box, or of a class other than their box's
    missed: int  # boxes without a detection
    error: float  # the number of missed boxes plus the scores of the wrong detections


def _place(iou: int) -> int:
    """Returns the index of an IoU, in hundredths."""
    return [round(100 * one) for one in _IOUS].index(iou)


def average_precisions(
    detections: Sequence[Detection], targets: Sequence[BoxTarget], classes: int
) -> AveragePrecisions:
    """Computes COCO's precisions with torchmetrics and faster-coco-eval, from the best 100 detections of an image."""
    from torchmetrics.detection import MeanAveragePrecision

    labels = torch.cat([target["labels"] for target in targets])
    boxes = labels.bincount(minlength=classes).numpy()
    precision = np.full((len(_IOUS), len(_RECALLS), classes), np.nan)
    if len(labels):
        metric = MeanAveragePrecision(
            iou_thresholds=list(_IOUS),
            rec_thresholds=_RECALLS.tolist(),  # torchmetrics' own are rounded to float32, and so miss some recalls
            extended_summary=True,
            backend="faster_coco_eval",
            sync_on_compute=False,
        )
        metric.warn_on_many_detections = False
        metric.update(list(detections), list(targets))
        with redirect_stdout(io.StringIO()):  # the library prints a table
            found = metric.compute()["precision"][..., 0, -1].numpy()  # boxes of any area, at most 100 detections
        seen = torch.cat([labels, *(one["labels"] for one in detections)])
        found[found < 0] = np.nan  # a class that is detected but has no boxes
        precision[:, :, np.unique(seen.numpy())] = found
    return AveragePrecisions(precision, boxes)


def image_metrics(detections: Sequence[Detection], targets: Sequence[BoxTarget], confidence: float) -> dict[str, float]:
    """Scores the decision "this image contains an object": counts, accuracy, precision and recall (0 for 0/0).

    An image is predicted positive if a detection's score is at least `confidence`.
    """
    taken = np.array([bool((one["scores"] >= confidence).any()) for one in detections])
    true = np.array([len(target["boxes"]) > 0 for target in targets])
    hits, false_alarms = int((taken & true).sum()), int((taken & ~true).sum())
    misses, clean = int((~taken & true).sum()), int((~taken & ~true).sum())
    return {
        "image_precision": hits / max(hits + false_alarms, 1),
        "image_recall": hits / max(hits + misses, 1),
        "image_accuracy": (hits + clean) / len(true),
        "image_true_positives": float(hits),
        "image_false_positives": float(false_alarms),
        "image_false_negatives": float(misses),
        "image_true_negatives": float(clean),
    }


def match(detection: Detection, target: BoxTarget, confidence: float) -> Match:
    """Matches detections greedily, as COCO does: by descending score, each takes the unmatched true box of its class
    with the highest IoU, if that is at least 0.5. Detections left over may then take boxes of other classes.

    Ignores detections that score below `confidence`.
    """
    considered = (detection["scores"] >= confidence).nonzero()[:, 0]
    considered = considered[detection["scores"][considered].argsort(descending=True, stable=True)]
    overlap = box_iou(detection["boxes"][considered], target["boxes"]).numpy()
    same = (detection["labels"][considered, None] == target["labels"][None]).numpy()
    pairs = _pair(overlap, same)
    right = {place for place, box in pairs.items() if same[place, box]}
    wrong = [place for place in range(len(considered)) if place not in right]
    missed = len(target["boxes"]) - len(pairs)
    error = missed + float(detection["scores"][considered[wrong]].sum())
    matched = [(box, int(considered[place])) for place, box in pairs.items()]
    return Match(considered, matched, len(wrong), missed, error)


def _pair(overlap: NDArray[np.float32], same: NDArray[np.bool_]) -> dict[int, int]:
    """Returns the matched column (true box) by row (detection), without unmatched rows."""
    pairs: dict[int, int] = {}
    free = np.ones(overlap.shape[1], np.bool_)
    for wanted in (same, ~same):
        for row in range(len(overlap)):
            scores = np.where(wanted[row] & free, overlap[row], 0)
            if row not in pairs and scores.size and scores.max() >= _MATCHED:
                pairs[row] = int(scores.argmax())
                free[pairs[row]] = False
    return pairs


def confusion_counts(
    detections: Sequence[Detection], targets: Sequence[BoxTarget], classes: int, confidence: float
) -> NDArray[np.int64]:
    """Returns the confusion matrix (classes + 1, classes + 1), true class by detected class.

    The last index is the background: its column counts missed boxes, its row detections without a box.
    """
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for detection, target in zip(detections, targets, strict=True):
        found = match(detection, target, confidence)
        taken = dict(found.pairs)
        for box, label in enumerate(target["labels"].tolist()):
            counts[label, int(detection["labels"][taken[box]]) if box in taken else classes] += 1
        alone = set(found.considered.tolist()) - set(taken.values())
        for index in alone:
            counts[classes, int(detection["labels"][index])] += 1
    return counts
