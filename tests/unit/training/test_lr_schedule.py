from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.models.optimization import LrSchedulerConfig
from mitorch_service.training.lr_schedule import learning_rate

STEPS, EPOCHS = 10, 6


def rate(step: int, **fields: Any) -> float:
    config = LrSchedulerConfig.model_validate({"name": "constant", "base_lr": 2.0, **fields})
    return learning_rate(config, step, STEPS, EPOCHS)


@pytest.mark.parametrize(
    ("name", "step", "expected"),
    [
        ("constant", 0, 2.0),
        ("constant", 59, 2.0),
        ("cosine", 0, 2.0),
        ("cosine", 20, 1.5),
        ("cosine", 30, 1.0),
        ("cosine", 40, 0.5),
        ("cosine_annealing", 30, 1.0),
        ("linear", 0, 2.0),
        ("linear", 30, 1.0),
        ("linear", 59, 2.0 / 60),
        ("linear_decreasing", 45, 0.5),
        ("step", 0, 2.0),
        ("step", 19, 2.0),
        ("step", 20, 0.2),  # by default a third of the epochs
        ("step", 59, 0.02),
    ],
)
def test_known_points(name: str, step: int, expected: float) -> None:
    assert rate(step, name=name) == pytest.approx(expected)


def test_step_size_and_gamma() -> None:
    drops = {"name": "step", "step_size": 5, "step_gamma": 0.5}
    assert [rate(step, **drops) for step in (0, 49, 50, 59)] == [2.0, 2.0, 1.0, 1.0]


def test_linear_warm_up_then_the_schedule_from_its_top() -> None:
    warm = {"name": "cosine", "warmup": "linear", "warmup_epochs": 2, "warmup_factor": 0.1}
    assert rate(0, **warm) == pytest.approx(0.2)
    assert rate(10, **warm) == pytest.approx(1.1)
    assert rate(20, **warm) == pytest.approx(2.0)
    assert rate(40, **warm) == pytest.approx(1.0)


def test_constant_warm_up_of_part_of_an_epoch() -> None:
    warm = {"name": "linear", "warmup": "constant", "warmup_epochs": 0.5, "warmup_factor": 0.25}
    assert [rate(step, **warm) for step in (0, 4, 5)] == pytest.approx([0.5, 0.5, 2.0])


def test_step_counts_from_the_start_of_the_training() -> None:
    warm = {"name": "step", "step_size": 2, "warmup": "linear", "warmup_epochs": 1}
    assert rate(19, **warm) == pytest.approx(2.0)
    assert rate(20, **warm) == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["cosine", "linear", "step", "constant"])
def test_a_warm_up_longer_than_the_training(name: str) -> None:
    rates = [rate(step, name=name, warmup="linear", warmup_epochs=100) for step in range(60)]
    assert rates == sorted(rates)
    assert 0 < rates[0] < rates[-1] < 2
