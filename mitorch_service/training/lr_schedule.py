"""The learning rate of every step: a warm-up, then the schedule."""

from __future__ import annotations

import math

from mitorch_service.models.config import LrSchedulerConfig


def learning_rate(config: LrSchedulerConfig, step: int, steps_per_epoch: int, max_epochs: int) -> float:
    """The rate of `step` (0 is the first of the whole training).

    Warm-up, in the first `warmup_epochs`: ``constant`` stays at ``base_lr * warmup_factor``, ``linear``
    climbs from there to base_lr (Goyal et al. 2017, section 2.2). After it, ``cosine`` (Loshchilov and Hutter
    2017, equation 5, to zero) and ``linear`` (to zero) begin at base_lr and share out the steps that remain:
    neither reaches zero before the end. ``step`` counts its epochs from the start of the training, warm-up
    included, so that a drop comes where it was asked for.
    """
    warmup_steps = 0 if config.warmup == "none" else round(config.warmup_epochs * steps_per_epoch)
    if step < warmup_steps:
        return config.base_lr * _warmup(config, step / warmup_steps)
    total = steps_per_epoch * max_epochs
    done = (step - warmup_steps) / max(1, total - warmup_steps)
    return config.base_lr * _decay(config, done, epoch=step // steps_per_epoch, max_epochs=max_epochs)


def _warmup(config: LrSchedulerConfig, done: float) -> float:
    if config.warmup == "constant":
        return config.warmup_factor
    return config.warmup_factor + (1 - config.warmup_factor) * done


def _decay(config: LrSchedulerConfig, done: float, *, epoch: int, max_epochs: int) -> float:
    """The factor of base_lr, `done` being the part of the way from the warm-up's end, 0 to 1."""
    if config.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if config.name == "linear":
        return 1 - done
    if config.name == "step":
        step_size = config.step_size or math.ceil(max_epochs / 3)
        return config.step_gamma ** (epoch // step_size)
    return 1.0
