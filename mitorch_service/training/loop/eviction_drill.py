"""A drill: kills the process in the middle of a training, as a cluster that evicts its node does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from mitorch_service.models.result import EpochResult
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan


class EvictingReporter(Reporter):
    """Forwards everything to another reporter; after `epochs` (2.5: in the middle of the third) sends SIGKILL."""

    def __init__(self, inner: Reporter, epochs: float, before: Callable[[], None]) -> None:
        """`before` is called before the kill: it waits for the last checkpoint, so that every drill is the same."""
        self._inner = inner
        self._epochs = epochs
        self._before = before

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
