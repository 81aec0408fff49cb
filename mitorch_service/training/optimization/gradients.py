"""Clips and measures gradients between the backward pass and the optimizer step."""

from __future__ import annotations

import torch
from torch import Tensor, optim

from mitorch_service.models.config.optimization import GradientConfig


def clip(optimizer: optim.Optimizer, config: GradientConfig) -> Tensor | None:
    """Clamps each gradient element to ± ``clip_value``, then scales all gradients to a total norm of at most
    ``clip_norm``.

    Returns the total 2-norm before that scaling, a scalar on the device; None without ``clip_norm``, except on a GPU,
    where the norm costs little.
    """
    gradients = _with_gradients(optimizer)
    if config.clip_value is not None:
        torch.nn.utils.clip_grad_value_(gradients, config.clip_value)
    if config.clip_norm is not None:
        return torch.nn.utils.clip_grad_norm_(gradients, config.clip_norm)
    if gradients and gradients[0].is_cuda:
        return torch.nn.utils.get_total_norm([one.grad for one in gradients if one.grad is not None])
    return None


def gradient_norm(optimizer: optim.Optimizer) -> float:
    """Returns the total 2-norm of all current gradients; NaN before the first backward pass."""
    gradients = [one.grad for one in _with_gradients(optimizer) if one.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item() if gradients else float("nan")


def _with_gradients(optimizer: optim.Optimizer) -> list[Tensor]:
    return [one for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
