"""Averages of the weights over training steps or epochs, which generalise better than the last weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mitorch_service.models.config.optimization import EmaConfig, SwaConfig
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.training_length import epochs_of

Item = TypeVar("Item")

_NORM_BATCHES = 100  # for the batch norm statistics of the averaged weights; more would change little
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Average:
    """The interface of an average, and its null implementation: the trained weights are validated and saved."""

    def module(self) -> nn.Module | None:
        """Returns the module to validate and save instead of the trained one; None while there is no average."""
        return None

    def step_ended(self, module: nn.Module) -> None:
        """Called after each optimizer step."""

    def epoch_ended(self, module: nn.Module, epoch: int, refresh: Callable[[nn.Module], None]) -> None:
        """Called after training in each epoch, counted from 1. `refresh` runs a module on training batches."""

    def learning_rate(self, scheduled: float, epoch: int) -> float:
        """Returns the learning rate to use in an epoch, counted from 0."""
        return scheduled

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Ema(Average):
    """Exponential moving average (Polyak and Juditsky 1992), including the statistics of normalisation layers.

    It is timm's, with steps counted as in its training script: the first update, number 1, copies the weights.
    """

    def __init__(self, config: EmaConfig, module: nn.Module) -> None:
        self._ema = ModelEmaV3(module, decay=config.decay, use_warmup=config.warmup)
        self._steps = 0

    def module(self) -> nn.Module | None:
        inner: nn.Module = self._ema.module
        return inner

    def step_ended(self, module: nn.Module) -> None:
        self._steps += 1
        self._ema.update(module, step=self._steps)

    def state_dict(self) -> dict[str, Any]:
        return {"module": self._ema.module.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._ema.module.load_state_dict(state["module"])
        self._steps = state["steps"]


class Swa(Average):
    """Stochastic weight averaging (Izmailov et al. 2018). Recomputes the batch norm statistics of the averaged weights
    from training batches."""

    def __init__(self, config: SwaConfig, module: nn.Module, max_epochs: int) -> None:
        self._config = config
        self._first_epoch = min(max_epochs - 1, math.floor(config.start * max_epochs))  # counted from 0
        self._averaged = AveragedModel(module)

    def module(self) -> nn.Module | None:
        return self._averaged.module.eval() if self._averaged.n_averaged > 0 else None

    def epoch_ended(self, module: nn.Module, epoch: int, refresh: Callable[[nn.Module], None]) -> None:
        if epoch > self._first_epoch:
            self._averaged.update_parameters(module)
            refresh_batch_norm(self._averaged.module, refresh)

    def learning_rate(self, scheduled: float, epoch: int) -> float:
        constant = self._config.base_lr
        return constant if constant is not None and epoch >= self._first_epoch else scheduled

    def state_dict(self) -> dict[str, Any]:
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._averaged.load_state_dict(state)


def build_average(config: TrainingConfig, module: nn.Module) -> Average:
    """Builds the config's average. The module must be on its final device."""
    if config.ema is not None:
        return Ema(config.ema, module)
    return Swa(config.swa, module, epochs_of(config.model_dump())) if config.swa is not None else Average()


def refresh_batch_norm(module: nn.Module, refresh: Callable[[nn.Module], None]) -> None:
    """Replaces batch norm's running statistics by plain means over the batches that `refresh` runs the module on."""
    norms = [part for part in module.modules() if isinstance(part, _BATCH_NORMS) and part.track_running_stats]
    if not norms:
        return
    with _plain_means(norms), torch.no_grad():
        module.train()
        refresh(module)
    module.eval()


@contextmanager
def _plain_means(norms: list[Any]) -> Iterator[None]:
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def some_batches(batches: Iterator[Item]) -> Iterator[Item]:
    """Yields the first batches, as many as `refresh_batch_norm` needs."""
    return islice(batches, _NORM_BATCHES)
