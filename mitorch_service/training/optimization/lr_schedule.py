"""Learning rate schedules with warm-up."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from mitorch_service.models.config.optimization import LrSchedulerConfig
from mitorch_service.training.state_values import count, number


def learning_rate(
    config: LrSchedulerConfig, step: int, steps_per_epoch: int, max_epochs: int, *, total: int | None = None
) -> float:
    """Returns the learning rate of `step`, counted from 0 over the whole training.

    In the first `warmup_epochs` (or `warmup_steps`), ``constant`` stays at ``base_lr * warmup_factor``, and ``linear``
    rises from there to base_lr (Goyal et al. 2017, section 2.2). After it, ``cosine`` (Loshchilov and Hutter 2017,
    equation 5) and ``linear`` fall from base_lr over the remaining steps, reaching ``base_lr * final_factor`` just
    after the last. ``step`` and ``multistep`` count epochs from the start of the training, including the warm-up, so
    that a drop happens in the epoch that the config names. ``one_cycle`` (Smith and Topin 2017) is PyTorch's
    OneCycleLR without its cycle of the momentum: it reaches base_lr in the last step of the fraction `rise`, and
    ``base_lr * end_factor`` in the last of all. `total`: the steps of all epochs, if the last one has fewer.
    """
    total = steps_per_epoch * max_epochs if total is None else total
    warmup_steps = _warmup_steps(config, steps_per_epoch)
    if step < warmup_steps:
        return config.base_lr * _warmup(config, step / warmup_steps)
    if config.name == "one_cycle":
        return config.base_lr * _one_cycle(config, step, total)
    done = (step - warmup_steps) / max(1, total - warmup_steps)
    return config.base_lr * _decay(config, done, epoch=step // steps_per_epoch, max_epochs=max_epochs)


class Plateau:
    """A factor of the learning rate that drops when the objective stops improving (``plateau``); else always 1."""

    def __init__(self, config: LrSchedulerConfig) -> None:
        self._config = config
        self.factor = 1.0
        self._waited = 0

    def epoch_ended(self, improved: bool) -> None:
        """Updates the factor for the following epochs."""
        if self._config.name != "plateau":
            return
        self._waited = 0 if improved else self._waited + 1
        if self._waited > self._config.patience:
            self.factor *= self._config.step_gamma
            self._waited = 0

    def state_dict(self) -> dict[str, Any]:
        return {"factor": self.factor, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.factor = number(state, "factor", least=0)
        self._waited = count(state, "waited")


def _warmup_steps(config: LrSchedulerConfig, steps_per_epoch: int) -> int:
    if config.warmup == "none":
        return 0
    if config.warmup_steps is not None:
        return config.warmup_steps
    return round(config.warmup_epochs * steps_per_epoch)


def _warmup(config: LrSchedulerConfig, done: float) -> float:
    if config.warmup == "constant":
        return config.warmup_factor
    return config.warmup_factor + (1 - config.warmup_factor) * done


def _one_cycle(config: LrSchedulerConfig, step: int, total: int) -> float:
    top = max(0.0, config.rise * total - 1)  # 0: too short to rise
    if step < top:
        return _between(config.start_factor, 1.0, step / top)
    return _between(1.0, config.end_factor, (step - top) / ((total - 1 - top) or 1))


def _decay(config: LrSchedulerConfig, done: float, *, epoch: int, max_epochs: int) -> float:
    """Returns the factor of base_lr after the warm-up; `done`: the fraction of the steps after the warm-up, 0 to 1."""
    if config.name == "cosine":
        return _between(1.0, config.final_factor, done)
    if config.name == "linear":
        return 1 - (1 - config.final_factor) * done
    if config.name == "step":
        step_size = config.step_size or math.ceil(max_epochs / 3)
        return config.step_gamma ** (epoch // step_size)
    if config.name == "multistep":
        return config.step_gamma ** bisect_right(sorted(config.milestones), epoch)
    return 1.0


def _between(start: float, end: float, done: float) -> float:
    """Interpolates from start to end along half a cosine wave."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
