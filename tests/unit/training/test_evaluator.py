from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mitorch_service.training.evaluator import Evaluator


def evaluate(logits: Tensor, labels: list[int], batch: int = 2) -> Evaluator:
    evaluator = Evaluator(logits.shape[1], torch.device("cpu"))
    for start in range(0, len(labels), batch):
        evaluator.update(logits[start : start + batch], torch.tensor(labels[start : start + batch]))
    return evaluator


def test_loss_is_the_mean_over_samples_not_batches() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [10.0, 0.0]])
    expected = (2 * math.log(2) + math.log(1 + math.exp(10))) / 3
    assert evaluate(logits, [0, 1, 1]).loss() == pytest.approx(expected, rel=1e-5)


def test_accuracies() -> None:
    logits = torch.arange(8.0).flip(0).repeat(4, 1)  # class 0 first, then 1, ...
    metrics = evaluate(logits, [0, 1, 4, 5]).metrics()
    assert metrics["top1_accuracy"] == 0.25
    assert metrics["top5_accuracy"] == 0.75


def test_top5_of_fewer_classes_is_top_n() -> None:
    assert evaluate(torch.eye(3), [1, 2, 0]).metrics()["top5_accuracy"] == 1.0


def test_average_precision_as_scikit_learn_computes_it() -> None:
    from sklearn.metrics import average_precision_score

    torch.manual_seed(0)
    logits, labels = torch.randn(40, 4), [index % 3 for index in range(40)]  # class 3 has no samples
    scores = logits.softmax(1).numpy()
    per_class = [average_precision_score([label == c for label in labels], scores[:, c]) for c in range(3)]
    measured = evaluate(logits, labels, batch=7).metrics()["average_precision"]
    assert measured == pytest.approx(sum(per_class) / 3, abs=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_gives_nan_and_no_exception(value: float) -> None:
    evaluator = evaluate(torch.tensor([[1.0, 0.0], [value, 0.0], [0.0, 1.0]]), [0, 1, 1], batch=1)
    assert not math.isfinite(evaluator.loss())
    assert all(math.isnan(metric) for metric in evaluator.metrics().values())


def test_no_samples_give_nan() -> None:
    evaluator = Evaluator(3, torch.device("cpu"))
    assert math.isnan(evaluator.loss())
    assert all(math.isnan(metric) for metric in evaluator.metrics().values())
