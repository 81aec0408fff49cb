"""A drill: the process is killed in the midst of a training, as a cluster does that takes a node away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from mitorch_service.models.result import EpochResult
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan


class EvictingReporter(Reporter):
    """Tells another reporter everything, until so many epochs and the part of one are behind it; then SIGKILL."""

    def __init__(self, inner: Reporter, epochs: float, before: Callable[[], None]) -> None:
        """`before` is called before the end: it waits for the last checkpoint, so that each drill is the same."""
        self._inner, self._epochs, self._before = inner, epochs, before

    def training_started(self, plan: TrainingPlan) -> None:
        self._inner.training_started(plan)

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._inner.step_ended(epoch, step, steps, loss)
        if epoch - 1 + step / steps > self._epochs:
            self._before()
            os.kill(os.getpid(), signal.SIGKILL)

    def epoch_ended(self, result: EpochResult) -> None:
        self._inner.epoch_ended(result)

    def note(self, text: str) -> None:
        self._inner.note(text)

    def should_stop(self) -> bool:
        return self._inner.should_stop()
