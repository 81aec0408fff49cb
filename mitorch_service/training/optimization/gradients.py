"""The gradients between the backward pass and the step."""

from __future__ import annotations

import torch
from torch import Tensor, optim

from mitorch_service.models.optimization import GradientConfig


def clip(optimizer: optim.Optimizer, config: GradientConfig) -> Tensor | None:
    """Cuts each number to ``clip_value``, then scales all down together to the length ``clip_norm``. The length before
    that, on the device: always on a GPU, where it costs little, elsewhere with ``clip_norm`` only."""
    gradients = _with_gradients(optimizer)
    if config.clip_value is not None:
        torch.nn.utils.clip_grad_value_(gradients, config.clip_value)
    if config.clip_norm is not None:
        return torch.nn.utils.clip_grad_norm_(gradients, config.clip_norm)
    if gradients and gradients[0].is_cuda:
        return torch.nn.utils.get_total_norm([one.grad for one in gradients if one.grad is not None])
    return None


def gradient_norm(optimizer: optim.Optimizer) -> float:
    """The length of all gradients together, as they are now; NaN before the first backward pass."""
    gradients = [one.grad for one in _with_gradients(optimizer) if one.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item() if gradients else float("nan")


def _with_gradients(optimizer: optim.Optimizer) -> list[Tensor]:
    return [one for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
