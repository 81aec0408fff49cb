"""The learning rate of every step: a warm-up, then the schedule."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from mitorch_service.models.optimization import LrSchedulerConfig


def learning_rate(config: LrSchedulerConfig, step: int, steps_per_epoch: int, max_epochs: int) -> float:
    """The rate of `step` (0 is the first of the whole training).

    Warm-up, in the first `warmup_epochs` (or `warmup_steps`): ``constant`` stays at ``base_lr * warmup_factor``,
    ``linear`` climbs from there to base_lr (Goyal et al. 2017, section 2.2). After it, ``cosine`` (Loshchilov and
    Hutter 2017, equation 5) and ``linear`` begin at base_lr and share out the steps that remain: neither reaches
    ``base_lr * final_factor`` before the end. ``step`` and ``multistep`` count their epochs from the start of the
    training, warm-up included, so that a drop comes where it was asked for. ``one_cycle`` (Smith and Topin 2017, with
    cosines as in PyTorch) climbs for a part `rise` of the steps to base_lr, then falls to its end.
    """
    total = steps_per_epoch * max_epochs
    warmup_steps = _warmup_steps(config, steps_per_epoch)
    if step < warmup_steps:
        return config.base_lr * _warmup(config, step / warmup_steps)
    if config.name == "one_cycle":
        return config.base_lr * _one_cycle(config, step / max(1, total - 1))
    done = (step - warmup_steps) / max(1, total - warmup_steps)
    return config.base_lr * _decay(config, done, epoch=step // steps_per_epoch, max_epochs=max_epochs)


class Plateau:
    """The part of a rate that drops when the objective gets no better (``plateau``); 1 for every other schedule."""

    def __init__(self, config: LrSchedulerConfig) -> None:
        self._config = config
        self.factor, self._waited = 1.0, 0

    def epoch_ended(self, improved: bool) -> None:
        """After each epoch: the factor of the following ones."""
        if self._config.name != "plateau":
            return
        self._waited = 0 if improved else self._waited + 1
        if self._waited > self._config.patience:
            self.factor, self._waited = self.factor * self._config.step_gamma, 0

    def state_dict(self) -> dict[str, Any]:
        return {"factor": self.factor, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.factor, self._waited = state["factor"], state["waited"]


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


def _one_cycle(config: LrSchedulerConfig, done: float) -> float:
    if done < config.rise:
        return _between(config.start_factor, 1.0, done / config.rise)
    return _between(1.0, config.end_factor, (done - config.rise) / (1 - config.rise))


def _decay(config: LrSchedulerConfig, done: float, *, epoch: int, max_epochs: int) -> float:
    """The factor of base_lr, `done` being the part of the way from the warm-up's end, 0 to 1."""
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
    """Half a cosine wave from start to end."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
