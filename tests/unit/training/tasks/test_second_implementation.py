"""Every figure of an evaluation against an independent implementation: scikit-learn, COCO's own evaluation."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]
from hypothesis import given, settings, strategies
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics
from torch import Tensor, nn

from mitorch_service.training.data.batches.batch import Batch, BoxTarget
from mitorch_service.training.networks.network import Network
from mitorch_service.training.tasks.box_grid import box_grid
from mitorch_service.training.tasks.box_metrics import Detection, average_precisions, image_metrics
from mitorch_service.training.tasks.classification import LogitsEvaluator
from mitorch_service.training.tasks.detection_evaluator import DetectionEvaluator
from mitorch_service.training.tasks.multiclass import MulticlassEvaluator
from mitorch_service.training.tasks.multilabel import MultilabelEvaluator
from mitorch_service.training.tasks.threshold_grid import CONFIDENCES
from mitorch_service.training.tasks.worst_mistakes import WorstMistakes

CLASSES = 7
NAMES = ("precision", "recall", "f1")


class Given(nn.Module):
    """Returns the logits in the images' first row."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0]


NETWORK = Network(Given(), (0.0,) * 3, (1.0,) * 3)


def evaluated(evaluator: LogitsEvaluator, logits: Tensor, targets: Tensor) -> LogitsEvaluator:
    evaluator.update(NETWORK.module, Batch(logits[:, None, None].repeat(1, 3, 1, 1), targets))
    return evaluator


SEEDS = strategies.integers(0, 2**32 - 1)
SCALES = strategies.sampled_from([0, 8, 90])


def logits_of(seed: int, scale: int, classes: int) -> Tensor:
    """Logits of every scale: all within 0..1 (0), usual, and so large that float32 scores are all 0 or 1."""
    torch.manual_seed(seed)
    values = torch.rand(60, classes)
    return values if scale == 0 else (values - 0.5) * scale


@given(SEEDS, SCALES)
@settings(max_examples=12)
def test_multiclass_is_as_in_scikit_learn(seed: int, scale: int) -> None:
    logits = logits_of(seed, scale, CLASSES)
    targets = torch.randint(CLASSES - 1, (60,))  # the last class has no samples
    evaluator = evaluated(MulticlassEvaluator(NETWORK, [f"c{index}" for index in range(CLASSES)]), logits, targets)
    measured, true, taken = evaluator.metrics(), targets.numpy(), logits.argmax(1).numpy()
    scores = logits.double().softmax(1).numpy()
    labels = np.arange(CLASSES)
    assert measured["top1_accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(true, taken))
    top5 = sklearn_metrics.top_k_accuracy_score(true, logits.numpy(), k=5, labels=labels)
    assert measured["top5_accuracy"] == pytest.approx(top5)
    average = [sklearn_metrics.average_precision_score(true == one, scores[:, one]) for one in np.unique(true)]
    assert measured["average_precision"] == pytest.approx(np.mean(average), abs=1e-6)
    table = sklearn_metrics.precision_recall_fscore_support(true, taken, labels=labels, zero_division=0)
    present = table[3] > 0
    for name, column in zip(NAMES, table, strict=False):
        assert measured[name] == pytest.approx(column[present].mean(), abs=1e-6)
        assert [row[name] for row in evaluator.per_class().values()] == pytest.approx(column.tolist(), abs=1e-6)
    loss = -torch.nn.functional.log_softmax(logits.double(), 1)[range(60), targets].mean()
    assert evaluator.loss() == pytest.approx(loss.item(), rel=1e-5)


@given(SEEDS, SCALES, strategies.sampled_from([1, 2, CLASSES]))
@settings(max_examples=12)
def test_multilabel_is_as_in_scikit_learn(seed: int, scale: int, classes: int) -> None:
    logits = logits_of(seed, scale, classes)
    targets = (torch.rand(60, classes) > 0.6).float()
    targets[0] = 1  # each class has a sample
    evaluator = evaluated(MultilabelEvaluator(NETWORK, [f"c{n}" for n in range(classes)], 0.55), logits, targets)
    measured, true, scores = evaluator.metrics(), targets.int().numpy(), logits.double().sigmoid().numpy()
    columns = range(classes)
    average = [sklearn_metrics.average_precision_score(true[:, one], scores[:, one]) for one in columns]
    assert measured["average_precision"] == pytest.approx(np.mean(average), abs=1e-6)
    taken = (scores > 0.55).astype(int)
    rows = [
        sklearn_metrics.precision_recall_fscore_support(true[:, one], taken[:, one], average="binary", zero_division=0)
        for one in columns
    ]
    for place, name in enumerate(NAMES):
        assert measured[name] == pytest.approx(np.mean([row[place] for row in rows]), abs=1e-6)
    union = ((scores > 0.5) | (true > 0)).sum(1)
    common = ((scores > 0.5) & (true > 0)).sum(1)
    assert measured["accuracy_50"] == pytest.approx(np.where(union, common / np.maximum(union, 1), 1).mean(), abs=1e-6)


@given(SEEDS, SCALES, strategies.sampled_from([MulticlassEvaluator, MultilabelEvaluator]))
@settings(max_examples=10)
def test_class_rates_by_confidence_are_as_in_scikit_learn(seed: int, scale: int, kind: type[LogitsEvaluator]) -> None:
    logits = logits_of(seed, scale, CLASSES)
    several = kind is MultilabelEvaluator
    targets = (torch.rand(60, CLASSES) > 0.6).float() if several else torch.randint(CLASSES - 1, (60,))
    evaluator: LogitsEvaluator = (
        MultilabelEvaluator(NETWORK, "abcdefg", 0.5) if several else MulticlassEvaluator(NETWORK, "abcdefg")
    )
    scores = (logits.double().sigmoid() if several else logits.double().softmax(1)).numpy()
    true = targets.numpy() if several else np.eye(CLASSES)[targets.numpy()]
    if not several:  # an image's prediction is its most probable class
        scores = np.where(np.arange(CLASSES) == logits.argmax(1).numpy()[:, None], scores, -1)
    grid = evaluator.grid(logits, targets)
    for place in (0, 6, 49, 98):
        taken = (scores > CONFIDENCES[place] if several else scores >= CONFIDENCES[place]).astype(int)
        of_each = sklearn_metrics.precision_recall_fscore_support(true, taken, zero_division=0)
        of_all = sklearn_metrics.precision_recall_fscore_support(true, taken, average="micro", zero_division=0)
        for name, each, overall in zip(NAMES, of_each, of_all, strict=False):
            assert getattr(grid, name)()[:, 0, place] == pytest.approx(each)
            assert getattr(grid.overall(), name)()[0, 0, place] == pytest.approx(overall)
    if several:
        reached = [
            sklearn_metrics.f1_score(true, (scores > one).astype(int), average="micro", zero_division=0)
            for one in CONFIDENCES
        ]
        measured = evaluated(evaluator, logits, targets).metrics()
        assert measured["best_f1"] == pytest.approx(max(reached))
        assert reached[CONFIDENCES.index(measured["best_threshold"])] == pytest.approx(max(reached))


def test_16_of_20_boxes_found_exactly() -> None:
    """A recall of 0.8 reaches 81 of COCO's 101 recalls."""
    boxes = [torch.tensor([[10.0, 10.0, 30.0, 30.0]])] * 20
    targets = [{"boxes": box, "labels": torch.zeros(1, dtype=torch.int64)} for box in boxes]
    found = [{**one, "scores": torch.tensor([0.9])} for one in targets[:16]]
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)}
    measured = average_precisions([*found, *[nothing] * 4], targets, 1)
    assert measured.mean() == pytest.approx(81 / 101)
    assert measured.mean(50) == measured.mean(90) == measured.for_class(0)[2] == pytest.approx(81 / 101)


@given(SEEDS)
@settings(max_examples=12)
def test_detection_is_as_in_coco(seed: int) -> None:
    detections, targets = boxes_of(seed)
    measured = average_precisions(detections, targets, 3)
    precision = coco_precision(detections, targets)
    boxes = np.bincount(np.concatenate([one["labels"].numpy() for one in targets]), minlength=3)
    precision[..., boxes == 0] = np.nan
    assert measured.mean() == pytest.approx(np.nanmean(precision[1:]), abs=1e-9)
    for iou, place in ((30, 0), (50, 1), (75, 6), (90, 9)):
        assert measured.mean(iou) == pytest.approx(np.nanmean(precision[place]), abs=1e-9)
    for label in np.flatnonzero(boxes).tolist():
        assert measured.for_class(label)[1:] == pytest.approx(
            (precision[1:, :, label].mean(), precision[1, :, label].mean()), abs=1e-9
        )


@given(SEEDS)
@settings(max_examples=12)
def test_images_are_told_apart_as_in_scikit_learn(seed: int) -> None:
    detections, targets = boxes_of(seed)
    measured = image_metrics(detections, targets, 0.5)
    true = [len(one["labels"]) > 0 for one in targets]
    taken = [bool((one["scores"] >= 0.5).any()) for one in detections]
    scores = sklearn_metrics.precision_recall_fscore_support(true, taken, average="binary", zero_division=0)
    assert (measured["image_precision"], measured["image_recall"]) == pytest.approx(scores[:2])
    assert measured["image_accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(true, taken))
    counts = sklearn_metrics.confusion_matrix(true, taken, labels=[False, True]).ravel()
    names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    assert [measured[f"image_{name}"] for name in names] == counts.tolist()


@given(SEEDS)
@settings(max_examples=10)
def test_rates_of_each_class_are_as_in_coco(seed: int) -> None:
    detections, targets = boxes_of(seed)
    evaluator = DetectionEvaluator(NETWORK, "abc", 0.4)
    evaluator.merge((detections, targets, [torch.tensor(1.0)], WorstMistakes((0.0,) * 3, (1.0,) * 3).state()))
    kept = [{name: values[one["scores"] >= 0.4] for name, values in one.items()} for one in detections]
    recall = np.array(coco_evaluation(kept, targets)["recall"])[1, :, 0, -1]
    for label, row in enumerate(evaluator.per_class().values()):
        taken = sum(int((one["labels"] == label).sum()) for one in kept)
        if row["boxes"]:
            right = recall[label] * row["boxes"]
            assert row["recall"] == pytest.approx(recall[label])
            assert row["precision"] == pytest.approx(right / max(taken, 1))
            assert row["f1"] == pytest.approx(2 * right / (taken + row["boxes"]))


@given(SEEDS, strategies.sampled_from([0, 24, 49, 74]))
@settings(max_examples=10)
def test_detections_by_confidence_and_iou_are_as_in_coco(seed: int, place: int) -> None:
    detections, targets = boxes_of(seed)
    grid = box_grid(detections, targets, 3)
    kept = [{name: values[one["scores"] >= CONFIDENCES[place]] for name, values in one.items()} for one in detections]
    recall = np.array(coco_evaluation(kept, targets)["recall"])[1::2, :, 0, -1][:5]  # IoU 0.5, 0.6, … 0.9
    boxes = np.bincount(np.concatenate([one["labels"].numpy() for one in targets]), minlength=3)
    taken = np.bincount(np.concatenate([one["labels"].numpy() for one in kept]), minlength=3)
    assert (grid.true.tolist(), grid.taken[:, place].tolist()) == (boxes.tolist(), taken.tolist())
    right = np.maximum(recall, 0).T * boxes[:, None]  # COCO has -1 for a class without boxes
    assert grid.right[..., place] == pytest.approx(right)
    f1, threshold = grid.best()
    assert f1 == pytest.approx(grid.overall().f1()[0, 0].max())
    of_all = grid.overall()
    chosen = CONFIDENCES.index(threshold)
    assert 2 * of_all.right[0, 0, chosen] / (of_all.taken[0, chosen] + of_all.true[0]) == pytest.approx(f1)


def boxes_of(seed: int) -> tuple[list[Detection], list[BoxTarget]]:
    """20 images with 0 to 5 boxes. Of each box a detection: exact, moved, of another class, or none; beside them false
    ones."""
    numbers = np.random.default_rng(seed)
    detections, targets = [], []
    for _ in range(20):
        count = int(numbers.integers(0, 6))
        corners = numbers.integers(0, 80, (count, 2))[:, [0, 1, 0, 1]] + np.array([0, 0, 20, 16])
        labels = numbers.integers(0, 2 if seed % 2 else 3, count)
        kept = numbers.random(count) < 0.8
        moved = corners[kept] + numbers.integers(-3, 4, (kept.sum(), 4)) * (numbers.random((kept.sum(), 1)) < 0.6)
        other = np.where(numbers.random(kept.sum()) < 0.2, 2, labels[kept])
        stray = numbers.integers(0, 80, (1, 2))[:, [0, 1, 0, 1]] + np.array([0, 0, 9, 9])
        found = np.concatenate([moved, stray]).astype(np.float32)
        classes = np.concatenate([other, [0]])
        detections.append(
            {
                "boxes": torch.from_numpy(found),
                "labels": torch.from_numpy(classes),
                "scores": torch.from_numpy(numbers.random(len(found)).astype(np.float32)),
            }
        )
        targets.append(
            {"boxes": torch.from_numpy(corners.astype(np.float32)).view(-1, 4), "labels": torch.from_numpy(labels)}
        )
    return detections, targets


def coco_precision(detections: list[Detection], targets: list[BoxTarget]) -> NDArray[np.float64]:
    """The precisions of COCO's own evaluation: (IoUs 0.3 and 0.5 to 0.95, recalls, 3 classes)."""
    found = np.array(coco_evaluation(detections, targets)["precision"][..., 0, -1])
    return np.where(found < 0, np.nan, found)


def coco_evaluation(detections: list[Detection], targets: list[BoxTarget]) -> dict[str, Any]:
    """COCO's own evaluation with its own thresholds."""
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(len(targets))],
        "categories": [{"id": one, "name": str(one)} for one in range(3)],
        "annotations": coco_rows(targets),
    }
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval_faster(truth, truth.loadRes(coco_rows(detections)), "bbox")
        evaluation.params.iouThrs = np.insert(evaluation.params.iouThrs, 0, 0.3)
        evaluation.evaluate()
        evaluation.accumulate()
    result: dict[str, Any] = evaluation.eval
    return result


def coco_rows(images: list[Detection] | list[BoxTarget]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for image, one in enumerate(images):
        for place, (x_min, y_min, x_max, y_max) in enumerate(one["boxes"].double().tolist()):
            box = [x_min, y_min, x_max - x_min, y_max - y_min]
            row = {"id": len(rows) + 1, "image_id": image, "category_id": int(one["labels"][place]), "bbox": box}
            score = {"score": float(one["scores"][place])} if "scores" in one else {"iscrowd": 0}
            rows.append({**row, **score, "area": box[2] * box[3]})
    return rows
