"""The figures of detection against hand-computed cases and a second implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mitorch_service.training.data.batches.batch import BoxTarget
from mitorch_service.training.tasks.box_metrics import (
    Detection,
    average_precisions,
    confusion_counts,
    image_metrics,
    match,
)

A, B, FAR = (0, 0, 10, 10), (20, 20, 40, 40), (60, 60, 70, 70)


def target(*boxes: tuple[int, tuple[float, ...]]) -> BoxTarget:
    return {
        "boxes": torch.tensor([box for _, box in boxes], dtype=torch.float32).view(-1, 4),
        "labels": torch.tensor([label for label, _ in boxes], dtype=torch.int64),
    }


def detected(*boxes: tuple[int, tuple[float, ...], float]) -> Detection:
    found = target(*((label, box) for label, box, _ in boxes))
    return {**found, "scores": torch.tensor([score for *_, score in boxes], dtype=torch.float32)}


def test_all_found() -> None:
    found = average_precisions([detected((0, A, 0.9), (2, B, 0.8))], [target((0, A), (2, B))], 3)
    assert [found.mean(), found.mean(30), found.mean(90)] == [1, 1, 1]
    assert found.for_class(2) == (1, 1.0, 1.0)
    assert math.isnan(found.for_class(1)[1])


def test_a_false_alarm_before_the_hit_halves_the_precision() -> None:
    found = average_precisions([detected((0, FAR, 0.9), (0, A, 0.8))], [target((0, A))], 1)
    assert found.mean(50) == pytest.approx(0.5)


def test_each_iou_for_itself() -> None:
    """A box of width 8 in one of 10 has an IoU of 0.8."""
    found = average_precisions([detected((0, (0, 0, 8, 10), 0.9))], [target((0, A))], 1)
    assert [found.mean(iou) for iou in (30, 50, 75, 90)] == [1, 1, 1, 0]
    assert found.mean() == pytest.approx(7 / 10)  # 0.5 to 0.8, of ten


def test_a_class_that_is_only_detected_does_not_count() -> None:
    found = average_precisions([detected((1, A, 0.9), (0, A, 0.8))], [target((0, A))], 3)
    assert found.mean() == 1
    assert found.boxes.tolist() == [1, 0, 0]


def test_nothing_detected_and_nothing_there() -> None:
    assert average_precisions([detected()], [target((0, A))], 2).mean() == 0
    assert math.isnan(average_precisions([detected((0, A, 0.9))], [target()], 2).mean())
    assert math.isnan(average_precisions([detected()], [target()], 2).mean())


def test_average_precision_as_another_implementation_finds_it() -> None:
    """A plain one, at IoU 0.5: detections of a class over all images by score, each taking the best free box."""
    numbers = np.random.default_rng(0)
    targets, detections = [], []
    for _ in range(12):
        corners = [
            tuple(place + np.array([0, 0, 12, 12])) for place in numbers.integers(0, 80, (3, 2))[:, [0, 1, 0, 1]]
        ]
        labels = numbers.integers(0, 2, 3).tolist()
        targets.append(target(*zip(labels, corners, strict=True)))
        moved = [tuple(np.array(box) + numbers.integers(-4, 5, 4)) for box in corners]
        detections.append(detected(*zip(labels, moved, numbers.random(3).tolist(), strict=True)))
    measured = average_precisions(detections, targets, 2)
    for label in range(2):
        assert measured.for_class(label)[2] == pytest.approx(_plain_precision(detections, targets, label), abs=1e-6)


def test_images_told_apart() -> None:
    detections = [detected((0, A, 0.9)), detected((0, A, 0.4)), detected((0, A, 0.7)), detected()]
    targets = [target((0, A)), target((0, A)), target(), target()]
    assert image_metrics(detections, targets, 0.5) == {
        "image_precision": 0.5,
        "image_recall": 0.5,
        "image_accuracy": 0.5,
        "image_true_positives": 1,
        "image_false_positives": 1,
        "image_false_negatives": 1,
        "image_true_negatives": 1,
    }
    assert image_metrics(detections, targets, 0.4)["image_recall"] == 1  # a score of the confidence counts
    assert image_metrics([detected()], [target()], 0.5)["image_precision"] == 0  # nothing to divide by


def test_matches_and_mistakes_of_an_image() -> None:
    detection = detected((1, A, 0.9), (0, A, 0.8), (0, FAR, 0.7), (0, B, 0.3))
    found = match(detection, target((0, A), (0, B)), 0.5)
    assert found.pairs == [(0, 1)]  # the one of its class, though the other has the higher score
    assert (found.wrong, found.missed) == (2, 1)
    assert found.error == pytest.approx(1 + 0.9 + 0.7)


def test_confusion_has_a_row_and_a_column_for_nothing() -> None:
    counts = confusion_counts([detected((1, A, 0.9), (0, FAR, 0.7))], [target((0, A), (1, B))], 2, 0.5)
    assert counts.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def _plain_precision(detections: list[Detection], targets: list[BoxTarget], label: int) -> float:
    rows = [
        (float(score), image, box)
        for image, one in enumerate(detections)
        for box, kind, score in zip(one["boxes"].numpy(), one["labels"], one["scores"], strict=True)
        if kind == label
    ]
    true = {image: one["boxes"][one["labels"] == label].numpy() for image, one in enumerate(targets)}
    used: set[tuple[int, int]] = set()
    hits = []
    for _, image, box in sorted(rows, key=lambda row: -row[0]):
        overlaps = [_iou(box, other) * ((image, place) not in used) for place, other in enumerate(true[image])]
        best = int(np.argmax(overlaps)) if overlaps else -1
        hits.append(best >= 0 and overlaps[best] >= 0.5)
        if hits[-1]:
            used.add((image, best))
    right = np.cumsum(hits)
    recall, precision = right / sum(map(len, true.values())), right / np.arange(1, len(hits) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.mean([highest[recall >= level].max(initial=0) for level in np.linspace(0, 1, 101)]))


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    width, height = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(width * height / (sum(areas) - width * height))
