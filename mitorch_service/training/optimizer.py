"""The optimizer that a config asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn, optim

from mitorch_service.models.config import OptimizerConfig


def build_optimizer(config: OptimizerConfig, module: nn.Module, learning_rate: float) -> optim.Optimizer:
    """Decays matrices and filters only; ``adam`` adds the decay to the gradient, ``adamw`` keeps it apart.

    Biases and normalisation layers' scales (all tensors of one dimension) go without: decaying them costs
    accuracy (He et al., Bag of Tricks, 2019, section 3.1).
    """
    return _BUILDERS[config.name](config, _groups(module, config.weight_decay), learning_rate)


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trained if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in trained if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


# fused: one kernel for all tensors; on small networks the loop over them costs as much as the training
_BUILDERS: dict[str, Callable[[OptimizerConfig, list[dict[str, Any]], float], optim.Optimizer]] = {
    "sgd": lambda config, groups, lr: optim.SGD(
        groups, lr=lr, momentum=config.momentum, nesterov=config.nesterov, fused=True
    ),
    "adam": lambda config, groups, lr: optim.Adam(groups, lr=lr, betas=config.betas, fused=True),
    "adamw": lambda config, groups, lr: optim.AdamW(groups, lr=lr, betas=config.betas, fused=True),
}
