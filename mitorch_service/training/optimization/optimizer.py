"""Builds the optimizer of a config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.optim import create_optimizer_v2
from torch import nn, optim

from mitorch_service.errors import InvalidInput, ModelError, Problem
from mitorch_service.models.config.optimization import OptimizerConfig
from mitorch_service.training.optimization.optimizer_names import unknown_optimizer_problem

_RMSPROP_EPS = 0.0316  # as in the original MiTorch, from EfficientNet's training

Groups = list[dict[str, Any]]


def build_optimizer(config: OptimizerConfig, module: nn.Module, learning_rate: float) -> optim.Optimizer:
    """Builds the optimizer, with weight decay for tensors of two or more dimensions only.

    Biases and normalisation scales (one dimension) and the parameters in timm's ``no_weight_decay`` are not decayed,
    because that costs accuracy (He et al., Bag of Tricks, 2019, section 3.1). ``adam`` adds the decay to the gradient,
    ``adamw`` decouples it. Each group's learning rate is its ``rate_factor`` times `learning_rate`. Raises InvalidInput
    for an unknown name or arguments that the optimizer does not accept, ModelError if `backbone_factor` is set and the
    network's backbone is unknown.
    """
    groups = _groups(config, module)
    for group in groups:
        group["lr"] = learning_rate * group["rate_factor"]
    try:
        return _BUILDERS.get(config.name, _timm)(config, groups, learning_rate)
    except (TypeError, ValueError, AssertionError, ImportError, RuntimeError) as error:
        given = config.model_dump(include={*config.model_fields_set} - {"name"})
        message = f"{config.name} cannot be built with {given}: {error}. Change them, or choose another optimizer"
        raise InvalidInput("config", [Problem("optimizer", message)]) from error


def set_learning_rate(optimizer: optim.Optimizer, learning_rate: float) -> None:
    """Sets each group's learning rate to its ``rate_factor`` times the rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["rate_factor"]


def load_moments(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Loads the moments (momentum, squared gradients) of another optimizer of the same kind and network, but not its
    settings. Raises ValueError if the parameter groups differ."""
    groups = [
        {**own, "params": other["params"]}
        for own, other in zip(optimizer.state_dict()["param_groups"], state["param_groups"], strict=True)
    ]
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})


def _groups(config: OptimizerConfig, module: nn.Module) -> Groups:
    backbone = _backbone(module) if config.backbone_factor != 1 else frozenset()
    excluded = _excluded(module)
    found: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim > 1 and name not in excluded
            found.setdefault((name in backbone, decayed), []).append(parameter)
    return [
        {
            "params": found[in_backbone, decayed],
            "weight_decay": config.weight_decay if decayed else 0.0,
            "rate_factor": config.backbone_factor if in_backbone else 1.0,
        }
        for in_backbone in (False, True)
        for decayed in (True, False)
        if (in_backbone, decayed) in found
    ]


def _excluded(module: nn.Module) -> frozenset[str]:
    """Returns the parameters that timm's networks exclude from weight decay: position embeddings, class tokens."""
    names = getattr(module, "no_weight_decay", None)
    return frozenset(names() if callable(names) else ())


def _backbone(module: nn.Module) -> frozenset[str]:
    """Returns the parameters of a detector's ``backbone``, or of a classifier without its last layer."""
    names = [name for name, _ in module.named_parameters()]
    if isinstance(getattr(module, "backbone", None), nn.Module):
        return frozenset(name for name in names if name.startswith("backbone."))
    get_classifier = getattr(module, "get_classifier", None)
    if get_classifier is None:
        raise ModelError("optimizer.backbone_factor: the backbone of this network is not known. Remove it.")
    heads = get_classifier()
    head = {id(one) for part in (heads if isinstance(heads, tuple) else (heads,)) for one in part.parameters()}
    return frozenset(name for name, one in module.named_parameters() if id(one) not in head)


def _sgd(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    given: dict[str, Any] = {"momentum": config.momentum, "nesterov": config.nesterov}
    return optim.SGD(groups, lr=rate, weight_decay=0.0, fused=True, **given, **_options(config))


def _adam(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    return optim.Adam(groups, **_adam_arguments(config, rate), **_options(config))


def _adamw(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    return optim.AdamW(groups, **_adam_arguments(config, rate), **_options(config))


def _options(config: OptimizerConfig) -> dict[str, Any]:
    return config.options  # typed for PyTorch's constructors, which check them


def _adam_arguments(config: OptimizerConfig, rate: float) -> dict[str, Any]:
    return {"lr": rate, "betas": config.betas, "eps": config.eps or 1e-8, "weight_decay": 0.0, "fused": True}


def _rmsprop(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    given: dict[str, Any] = {"alpha": config.alpha, "eps": config.eps or _RMSPROP_EPS, "momentum": config.momentum}
    return optim.RMSprop(groups, lr=rate, weight_decay=0.0, **given, **_options(config))


def _timm(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    """Builds one of timm's optimizers, whose own defaults apply to the options that the user leaves out."""
    problem = unknown_optimizer_problem(config.name)
    if problem:
        raise InvalidInput("config", [Problem("optimizer.name", problem)])
    given = {name: getattr(config, name) for name in ("betas", "eps") if name in config.model_fields_set}
    arguments = {**given, **config.options, "momentum": config.momentum}
    built: optim.Optimizer = create_optimizer_v2(groups, opt=config.name, lr=rate, weight_decay=0.0, **arguments)
    return built


# fused: one kernel for all tensors, because on small networks looping over them takes as long as the training
_BUILDERS: dict[str, Callable[[OptimizerConfig, Groups, float], optim.Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
}
