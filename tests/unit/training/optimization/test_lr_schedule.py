from __future__ import annotations

from typing import Any

import pytest
import torch

from mitorch_service.models.config.optimization import LrSchedulerConfig
from mitorch_service.training.optimization.lr_schedule import Plateau, learning_rate

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


def test_multistep_drops_after_the_epochs_that_are_named() -> None:
    drops = {"name": "multistep", "milestones": [4, 1], "step_gamma": 0.5}
    assert [rate(step, **drops) for step in (0, 9, 10, 39, 40, 59)] == [2.0, 2.0, 1.0, 1.0, 0.5, 0.5]


def test_the_final_factor_is_where_cosine_and_linear_end() -> None:
    assert rate(30, name="cosine", final_factor=0.5) == pytest.approx(1.5)
    assert rate(30, name="linear", final_factor=0.5) == pytest.approx(1.5)


@pytest.mark.parametrize("rise", [0.3, 0.05, 0.5, 0.333, 0.99])
def test_one_cycle_is_that_of_pytorch(rise: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=2.0, total_steps=STEPS * EPOCHS, pct_start=rise, cycle_momentum=False
    )
    for step in range(STEPS * EPOCHS):
        assert rate(step, name="one_cycle", rise=rise) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_cycle_too_short_to_rise_starts_at_its_top(total: int) -> None:
    config = LrSchedulerConfig.model_validate({"name": "one_cycle", "base_lr": 2.0, "end_factor": 0})
    rates = [learning_rate(config, step, total, 1) for step in range(total)]
    assert rates == pytest.approx([2.0, 1.0, 0.0] if total == 3 else [2.0, 0.0][:total])


def test_a_warm_up_in_steps() -> None:
    warm = {"name": "constant", "warmup": "linear", "warmup_steps": 4, "warmup_factor": 0}
    assert [rate(step, **warm) for step in range(6)] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]


def test_a_plateau_drops_the_rate_and_then_waits_again() -> None:
    given = {"name": "plateau", "base_lr": 1, "patience": 1, "step_gamma": 0.5}
    plateau = Plateau(LrSchedulerConfig.model_validate(given))
    factors = []
    for improved in (True, False, False, False, False, True):
        plateau.epoch_ended(improved)
        factors.append(plateau.factor)
    assert factors == [1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "multistep"}, "milestones belong to multistep"),
        ({"name": "cosine", "milestones": [3]}, "milestones belong to multistep"),
        ({"name": "one_cycle", "warmup": "linear"}, "one_cycle has its own warm-up"),
        ({"name": "cosine", "warmup_epochs": 5}, "the kind of warm-up is missing"),
        ({"name": "cosine", "warmup_steps": 500}, "the kind of warm-up is missing"),
    ],
)
def test_settings_that_contradict_each_other(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LrSchedulerConfig.model_validate({"base_lr": 1, **fields})


def test_a_warm_up_may_be_turned_off_and_have_the_name_of_the_original() -> None:
    assert rate(0, warmup="none", warmup_epochs=5) == 2.0  # a search may try both
    assert rate(3, warmup="const", warmup_epochs=2, warmup_factor=0.5) == 1.0
