"""The network's numeric precision, memory layout and compilation."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn, optim

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.optimization import GradientConfig, PrecisionConfig
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.optimization.gradients import clip

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """Applies autocast and, for fp16, loss scaling, which keeps small gradients from underflowing."""

    def __init__(self, config: PrecisionConfig, device: torch.device) -> None:
        """Raises InvalidInput for a precision that the device does not support."""
        self._device = device
        self._compile = config.compile
        self._channels_last = device.type == "cuda" if config.channels_last is None else config.channels_last
        self.name = config.name if config.name != "auto" else _best(device)
        if self.name == "fp16" and device.type == "cpu":
            problem = "fp16 is not supported on the CPU: use bf16, fp32 or auto"
            raise InvalidInput("config", [Problem("precision.name", problem)])
        self._dtype = _DTYPES.get(self.name)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.name == "fp16")

    def place(self, module: nn.Module) -> nn.Module:
        """Moves the module to the device, in the memory layout chosen."""
        if self._channels_last:
            return module.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
        return module.to(self._device)

    def to_memory_format(self, batch: Batch) -> Batch:
        """Converts the batch's images to the memory layout of the module, in place."""
        if self._channels_last and isinstance(batch.images, torch.Tensor):
            batch.images = batch.images.contiguous(memory_format=torch.channels_last)
        return batch

    def compiled(self, module: nn.Module) -> nn.Module:
        """Returns the module to call in training, compiled if configured; it shares the module's weights."""
        return torch.compile(module) if self._compile else module  # type: ignore[return-value]

    def autocast(self) -> AbstractContextManager[Any]:
        """Returns the context for every forward pass."""
        return nullcontext() if self._dtype is None else torch.autocast(self._device.type, dtype=self._dtype)

    def backward(self, loss: torch.Tensor) -> None:
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: optim.Optimizer, config: GradientConfig) -> torch.Tensor | None:
        """Clips the gradients and steps the optimizer; returns the gradient norm (see `clip`).

        With fp16, an overflowed gradient skips the step and lowers the loss scale.
        """
        self._scaler.unscale_(optimizer)
        norm = clip(optimizer, config)
        self._scaler.step(optimizer)
        self._scaler.update()
        return norm

    def state_dict(self) -> dict[str, Any]:
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state:
            self._scaler.load_state_dict(state)


def _best(device: torch.device) -> str:
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
