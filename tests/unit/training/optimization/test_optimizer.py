from __future__ import annotations

import math

import pytest
import timm
import timm.optim
import torch
from torch import nn

from mitorch_service.errors import InvalidInput, ModelError
from mitorch_service.models.config.optimization import GradientConfig, OptimizerConfig
from mitorch_service.models.config.training_config import ModelConfig
from mitorch_service.training.optimization.gradients import clip, gradient_norm
from mitorch_service.training.optimization.optimizer import build_optimizer, set_learning_rate
from mitorch_service.training.optimization.optimizer_names import unknown_optimizer_problem
from mitorch_service.training.tasks.base import open_task


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


@pytest.mark.parametrize("name", ["rmsprop", "lion", "lamb", "nadamw", "muon"])
def test_optimizers_of_timm_take_the_groups(name: str) -> None:
    layer = nn.Linear(4, 4)
    module = nn.Sequential(layer, nn.Linear(4, 2))
    optimizer = build_optimizer(OptimizerConfig(name=name, weight_decay=0.1), module, 0.01)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    before = layer.weight.detach().clone()
    module(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, layer.weight)


@pytest.mark.parametrize("model", ["test_resnet", "test_resnet-ssdlite"])
def test_the_backbone_has_a_part_of_the_rate(model: str) -> None:
    task = "object_detection" if "ssd" in model else "multiclass_classification"
    module = open_task(task).build_network(ModelConfig(name=model, input_size=64), 3).module
    optimizer = build_optimizer(OptimizerConfig(backbone_factor=0.1), module, 1.0)
    set_learning_rate(optimizer, 0.5)
    rates = {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    for name, parameter in module.named_parameters():
        in_head = name.startswith(("fc.", "head."))
        assert rates[id(parameter)] == pytest.approx(0.5 if in_head else 0.05), name


def test_a_network_without_a_known_backbone_is_told() -> None:
    with pytest.raises(ModelError, match=r"backbone_factor: the backbone of this network is not known"):
        build_optimizer(OptimizerConfig(backbone_factor=0.1), nn.Linear(2, 2), 1.0)


def test_tensors_that_the_network_excludes_are_not_decayed() -> None:
    module = timm.create_model("test_vit", num_classes=3)
    decayed, plain = build_optimizer(OptimizerConfig(weight_decay=0.1), module, 1.0).param_groups
    plain_ids = {id(one) for one in plain["params"]}
    assert {id(module.pos_embed), id(module.cls_token)} <= plain_ids
    assert decayed["weight_decay"] == 0.1


def test_unknown_names_and_arguments_are_told() -> None:
    with pytest.raises(InvalidInput, match=r"optimizer\.name: there is no optimizer 'adamx'; did you mean 'adamax'"):
        build_optimizer(OptimizerConfig(name="adamx"), nn.Linear(2, 2), 1.0)
    with pytest.raises(InvalidInput, match=r"lamb cannot be built with .*no_such"):
        build_optimizer(OptimizerConfig(name="lamb", options={"no_such": 1}), nn.Linear(2, 2), 1.0)


def test_names_are_those_that_timm_registers() -> None:
    registered = {str(name) for name in timm.optim.list_optimizers()}
    unknown = {name for name in registered if unknown_optimizer_problem(name) is not None}
    assert unknown == {"adahessian"}
    assert unknown_optimizer_problem("lion") is None
    assert "second derivatives" in str(unknown_optimizer_problem("adahessian"))


def test_gradients_are_clipped_by_value_then_by_norm() -> None:
    module = nn.Linear(2, 1, bias=False)
    optimizer = build_optimizer(OptimizerConfig(), module, 0.1)
    assert math.isnan(gradient_norm(optimizer))
    module.weight.grad = torch.tensor([[3.0, 40.0]])
    norm = clip(optimizer, GradientConfig(clip_value=4.0, clip_norm=1.0))
    assert norm is not None
    assert norm.item() == pytest.approx(5.0)
    assert module.weight.grad.tolist() == [pytest.approx([0.6, 0.8])]
    assert gradient_norm(optimizer) == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "option"), [("adamw", "amsgrad"), ("rmsprop", "centered"), ("sgd", "maximize")])
def test_options_reach_the_optimizers_of_pytorch(name: str, option: str) -> None:
    module = nn.Linear(2, 2)
    assert build_optimizer(OptimizerConfig(name=name, options={option: True}), module, 0.1).defaults[option] is True
    for wrong in ("amsgard", "lr", "weight_decay"):  # of which the last two have a key of their own
        with pytest.raises(InvalidInput, match=rf"{name} cannot be built with .*{wrong}"):
            build_optimizer(OptimizerConfig(name=name, options={wrong: 1}), module, 0.1)


def test_lookahead_goes_around_any_optimizer() -> None:
    assert unknown_optimizer_problem("lookahead_lion") is None
    assert "there is no optimizer 'adamx'" in str(unknown_optimizer_problem("lookahead_adamx"))
    optimizer = build_optimizer(OptimizerConfig(name="lookahead_adamw"), nn.Linear(2, 2), 0.1)
    assert type(optimizer).__name__ == "Lookahead"
