from __future__ import annotations

import pytest
import torch
from torch import nn

from mitorch_service.models.optimization import OptimizerConfig
from mitorch_service.training.optimizer import build_optimizer


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_matrices_are_decayed_and_nothing_else(name: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = build_optimizer(
        OptimizerConfig.model_validate({"name": name, "weight_decay": 0.1}), module, learning_rate=0.5
    )
    assert type(optimizer).__name__.lower() == name
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"], decayed["lr"]) == (0.1, 0.0, 0.5)
    assert [tuple(one.shape) for one in decayed["params"]] == [(4, 3, 3, 3), (2, 4)]
    assert len(plain["params"]) == 4


def test_the_parameters_reach_the_optimizer() -> None:
    module = nn.Linear(2, 2)
    sgd = build_optimizer(OptimizerConfig(name="sgd", momentum=0.8, nesterov=True), module, 0.1)
    assert (sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (0.8, True)
    adam = build_optimizer(OptimizerConfig(name="adamw", betas=(0.7, 0.9)), module, 0.1)
    assert adam.defaults["betas"] == (0.7, 0.9)


def test_parameters_that_are_not_trained_are_left_out() -> None:
    module = nn.Linear(2, 2, bias=False)
    assert len(build_optimizer(OptimizerConfig(), module, 0.1).param_groups) == 1


def test_a_step_of_sgd_is_what_the_formula_says() -> None:
    module = nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(2.0)
        module.bias.fill_(2.0)
    optimizer = build_optimizer(OptimizerConfig(momentum=0, weight_decay=0.5), module, learning_rate=0.1)
    module(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert module.weight.item() == pytest.approx(2 - 0.1 * (1 + 0.5 * 2))
    assert module.bias.item() == pytest.approx(2 - 0.1)
