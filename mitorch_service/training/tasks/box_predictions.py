"""Lists the true boxes and the detections of an image, those that match together."""

from __future__ import annotations

from collections.abc import Sequence

from torchvision.ops import box_iou

from mitorch_service.training.data.batches.batch import BoxTarget
from mitorch_service.training.plots.predictions import Corners, Row
from mitorch_service.training.tasks.box_metrics import Detection, match

Boxes = Sequence[Corners] | None  # in pixels of the upright image; None: not known


def box_rows(
    detection: Detection, target: BoxTarget, classes: Sequence[str], confidence: float, boxes: Boxes, true_boxes: Boxes
) -> list[Row]:
    """Returns each true box with its detection, missed ones without one, then the detections without a true box, all as
    `match` finds them; an empty row for an image without any.

    `boxes` and `true_boxes` are where the detections and the true boxes are in the original image.
    """
    found = match(detection, target, confidence)
    overlap = box_iou(detection["boxes"], target["boxes"])
    detected = dict(found.pairs)
    alone = [one for one in found.considered.tolist() if one not in detected.values()]
    pairs = [*((box, detected.get(box)) for box in range(len(target["boxes"]))), *((None, one) for one in alone)]
    rows = []
    for box, one in pairs:
        label = None if box is None else int(target["labels"][box])
        taken = None if one is None else int(detection["labels"][one])
        row = Row(
            label="" if label is None else classes[label],
            prediction="" if taken is None else classes[taken],
            probability=None if one is None else float(detection["scores"][one]),
            correct=label == taken,
            iou=None if box is None or one is None else float(overlap[one, box]),
            box=None if one is None or boxes is None else boxes[one],
            true_box=None if box is None or true_boxes is None else true_boxes[box],
        )
        rows.append(row)
    return rows or [Row("", "", None, correct=True)]
