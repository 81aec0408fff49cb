"""The figures of classification against hand-computed cases and scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import ClassTargets
from mitorch_service.training.networks.network import Network
from mitorch_service.training.plots.sheet import Picture
from mitorch_service.training.tasks import worst_mistakes
from mitorch_service.training.tasks.classification import LogitsEvaluator
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from mitorch_service.training.tasks.multiclass import MulticlassEvaluator
from mitorch_service.training.tasks.multilabel import MultilabelEvaluator

SAMPLES = EvaluatedImages(ImageList("val", Path(), PackedStrings(["a.png", "b.png"]), ClassTargets([0, 1]), ()), [0, 1])


class Given(nn.Module):
    """Gives the logits that stand in the images' first row."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0]


def evaluate(logits: Tensor, targets: Tensor, size: int = 2, confidence: float = 0.5) -> LogitsEvaluator:
    network = Network(Given(), (0.0,) * 3, (1.0,) * 3)
    names = [f"class {index}" for index in range(logits.shape[1])]
    multilabel = MultilabelEvaluator(network, names, confidence)
    evaluator: LogitsEvaluator = MulticlassEvaluator(network, names) if targets.ndim == 1 else multilabel
    for start in range(0, len(targets), size):
        images = logits[start : start + size, None, None].repeat(1, 3, 4, 1)
        evaluator.update(network.module, Batch(images, targets[start : start + size]))
    return evaluator


def test_loss_is_the_mean_over_samples_not_batches() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [10.0, 0.0]])
    expected = (2 * math.log(2) + math.log(1 + math.exp(10))) / 3
    assert evaluate(logits, torch.tensor([0, 1, 1])).loss() == pytest.approx(expected, rel=1e-5)


def test_accuracies() -> None:
    logits = torch.arange(8.0).flip(0).repeat(4, 1)  # class 0 first, then 1, ...
    metrics = evaluate(logits, torch.tensor([0, 1, 4, 5])).metrics()
    assert metrics["top1_accuracy"] == 0.25
    assert metrics["top5_accuracy"] == 0.75


def test_top5_of_five_classes_is_left_out() -> None:
    measured = [evaluate(torch.eye(classes)[:3], torch.tensor([1, 2, 0])).metrics() for classes in (5, 6)]
    assert ["top5_accuracy" in one for one in measured] == [False, True]


def test_multiclass_as_scikit_learn_computes_it() -> None:
    from sklearn import metrics

    torch.manual_seed(0)
    logits, targets = torch.randn(40, 4), torch.arange(40) % 3  # class 3 has no samples
    evaluator = evaluate(logits, targets, size=7)
    measured, scores, taken = evaluator.metrics(), logits.softmax(1).numpy(), logits.argmax(1).numpy()
    per_class = [metrics.average_precision_score(targets.numpy() == one, scores[:, one]) for one in range(3)]
    assert measured["average_precision"] == pytest.approx(sum(per_class) / 3, abs=1e-5)
    table = metrics.precision_recall_fscore_support(targets.numpy(), taken, labels=[0, 1, 2, 3], zero_division=0)
    for index, name in enumerate(("precision", "recall", "f1")):
        assert measured[name] == pytest.approx(table[index][:3].mean(), abs=1e-6)
        own = [evaluator.per_class()[f"class {one}"][name] for one in range(4)]
        assert own == pytest.approx(table[index].tolist(), abs=1e-6)


def test_multilabel_by_hand() -> None:
    high, low = 3.0, -3.0
    logits = torch.tensor([[high, high, low], [high, low, low], [low, low, low]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    measured = evaluate(logits, targets).metrics()
    assert measured["accuracy_50"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)  # nothing taken of nothing is right
    assert measured["precision"] == pytest.approx((1 + 0) / 2)  # class 2 has no samples
    assert measured["recall"] == pytest.approx((1 + 0) / 2)


def test_multilabel_as_scikit_learn_computes_it() -> None:
    from sklearn import metrics

    torch.manual_seed(1)
    logits, targets = torch.randn(50, 4), (torch.rand(50, 4) > 0.6).float()
    measured = evaluate(logits, targets, size=8, confidence=0.3).metrics()
    scores, taken = logits.sigmoid().numpy(), (logits.sigmoid() > 0.3).int().numpy()
    true = targets.int().numpy()
    assert measured["average_precision"] == pytest.approx(metrics.average_precision_score(true, scores), abs=1e-5)
    assert measured["f1"] == pytest.approx(metrics.f1_score(true, taken, average="macro"), abs=1e-6)
    jaccard = metrics.jaccard_score(true, (scores > 0.5).astype(int), average="samples", zero_division=1.0)
    assert measured["accuracy_50"] == pytest.approx(jaccard, abs=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_gives_nan_and_no_exception(value: float) -> None:
    evaluator = evaluate(torch.tensor([[1.0, 0.0], [value, 0.0], [0.0, 1.0]]), torch.tensor([0, 1, 1]), size=1)
    assert not math.isfinite(evaluator.loss())
    assert all(math.isnan(metric) for metric in evaluator.metrics().values())


def test_mistakes_of_a_kind_are_drawn_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw_sheet(pictures: list[tuple[object, float, Picture]], title: str, path: Path) -> Path:
        drawn.extend([title, *(picture.title for _, _, picture in pictures)])
        return path

    monkeypatch.setattr(worst_mistakes, "draw_sheet", draw_sheet)
    logits = torch.tensor([[5.0, 0.0, 0.0], [0.0, 0.0, 4.0], [3.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    data = ImageList("digits:1 val", Path(), PackedStrings("abcd"), ClassTargets([0] * 4), ())
    evaluate(logits, torch.tensor([1, 0, 1, 1])).plots(tmp_path, EvaluatedImages(data, [3, 2, 1, 0]))
    assert [text.replace("\n", " ") for text in drawn] == [
        "worst mistakes, digits:1 val",
        "d class 1 taken for class 0 0.99",
        "b class 1 taken for class 0 0.91",
        "c class 0 taken for class 2 0.96",
    ]


def test_without_mistakes_no_sheet_of_before_stays(tmp_path: Path) -> None:
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    drawn = evaluate(logits, torch.tensor([1, 1])).plots(tmp_path, SAMPLES)
    assert tmp_path / "worst_mistakes.png" in drawn
    assert tmp_path / "worst_mistakes.png" not in evaluate(logits, torch.tensor([0, 1])).plots(tmp_path, SAMPLES)
    assert not (tmp_path / "worst_mistakes.png").exists()
