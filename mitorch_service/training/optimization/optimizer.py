"""The optimizer that a config asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import nn, optim

from mitorch_service.errors import InvalidInput, ModelError, Problem
from mitorch_service.models.optimization import OptimizerConfig
from mitorch_service.training.optimization.optimizer_names import unknown_optimizer_problem

_RMSPROP_EPS = 0.0316  # the original's, from the training of EfficientNets

Groups = list[dict[str, Any]]


def build_optimizer(config: OptimizerConfig, module: nn.Module, learning_rate: float) -> optim.Optimizer:
    """Decays matrices and filters only; ``adam`` adds the decay to the gradient, ``adamw`` keeps it apart.

    Biases and normalisation layers' scales (all tensors of one dimension) go without, as does what the network
    itself excludes (timm's ``no_weight_decay``): decaying them costs accuracy (He et al., Bag of Tricks, 2019,
    section 3.1). Each group's ``rate_factor`` is its part of the learning rate. Raises InvalidInput for an
    unknown name and arguments that the optimizer does not take, ModelError if no part is known as the backbone.
    """
    groups = _groups(config, module)
    for group in groups:
        group["lr"] = learning_rate * group["rate_factor"]
    try:
        return _BUILDERS.get(config.name, _timm)(config, groups, learning_rate)
    except (TypeError, ValueError, AssertionError, ImportError, RuntimeError) as error:
        given = config.model_dump(include={*config.model_fields_set} - {"name"})
        message = f"{config.name} cannot be built with {given}: {error}. Change them, or another name"
        raise InvalidInput("config", [Problem("optimizer", message)]) from error


def set_learning_rate(optimizer: optim.Optimizer, learning_rate: float) -> None:
    """Gives each group its part of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["rate_factor"]


def load_moments(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """What another optimizer of the same kind and network has gathered (momentum, squared gradients), without its
    settings. Raises ValueError if the groups of parameters differ."""
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
    """timm's networks know such tensors of theirs: position embeddings, class tokens."""
    names = getattr(module, "no_weight_decay", None)
    return frozenset(names() if callable(names) else ())


def _backbone(module: nn.Module) -> frozenset[str]:
    """A detector's ``backbone``, or all of a classifier but its last layer."""
    names = [name for name, _ in module.named_parameters()]
    if isinstance(getattr(module, "backbone", None), nn.Module):
        return frozenset(name for name in names if name.startswith("backbone."))
    get_classifier = getattr(module, "get_classifier", None)
    if get_classifier is None:
        raise ModelError("optimizer.backbone_factor: this network does not tell its backbone from its head. Remove it.")
    heads = get_classifier()
    head = {id(one) for part in (heads if isinstance(heads, tuple) else (heads,)) for one in part.parameters()}
    return frozenset(name for name, one in module.named_parameters() if id(one) not in head)


def _sgd(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    given: dict[str, Any] = {"momentum": config.momentum, "nesterov": config.nesterov}
    return optim.SGD(groups, lr=rate, weight_decay=0.0, fused=True, **given, **config.options)


def _adam(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    return optim.Adam(groups, **_of_adam(config, rate), **config.options)


def _adamw(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    return optim.AdamW(groups, **_of_adam(config, rate), **config.options)


def _of_adam(config: OptimizerConfig, rate: float) -> dict[str, Any]:
    return {"lr": rate, "betas": config.betas, "eps": config.eps or 1e-8, "weight_decay": 0.0, "fused": True}


def _rmsprop(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    given: dict[str, Any] = {"alpha": config.alpha, "eps": config.eps or _RMSPROP_EPS, "momentum": config.momentum}
    return optim.RMSprop(groups, lr=rate, weight_decay=0.0, **given, **config.options)


def _timm(config: OptimizerConfig, groups: Groups, rate: float) -> optim.Optimizer:
    """What the user has not given is left to the optimizer's own defaults."""
    problem = unknown_optimizer_problem(config.name)
    if problem:
        raise InvalidInput("config", [Problem("optimizer.name", problem)])
    given = {name: getattr(config, name) for name in ("betas", "eps") if name in config.model_fields_set}
    arguments = {**given, **config.options, "momentum": config.momentum}
    built: optim.Optimizer = create_optimizer_v2(groups, opt=config.name, lr=rate, weight_decay=0.0, **arguments)
    return built


# fused: one kernel for all tensors; on small networks the loop over them costs as much as the training
_BUILDERS: dict[str, Callable[[OptimizerConfig, Groups, float], optim.Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
}
