"""Ends a training of the engine that makes no progress: a stalled device, file system or other process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from mitorch_service.models.result import EpochResult
from mitorch_service.runs.silence import Silence
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan

_ASKED_SECONDS = 0.5


class StepWatch(Reporter):
    """Passes reports on, each of which is a sign of life, from the first step to the end of this context."""

    def __init__(self, reporter: Reporter, silence: Silence | None, end: Callable[[str], None]) -> None:
        """`silence` None: no limit. `end` is called with the reason, from a thread, and ends the process, as the
        training's own thread cannot be ended."""
        self._reporter = reporter
        self._end = end
        self._silence = silence
        self._closed = threading.Event()

    def training_started(self, plan: TrainingPlan) -> None:
        self._reporter.training_started(plan)

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._heard()
        self._reporter.step_ended(epoch, step, steps, loss)

    def epoch_ended(self, result: EpochResult) -> None:
        self._heard()
        self._reporter.epoch_ended(result)

    def note(self, text: str) -> None:
        self._reporter.note(text)

    def should_stop(self) -> bool:
        self._heard()
        return self._reporter.should_stop()

    def __enter__(self) -> Self:
        if self._silence is not None:
            threading.Thread(target=self._watch, args=(self._silence,), name="steps", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closed.set()

    def _heard(self) -> None:
        if self._silence is not None:
            self._silence.heard()

    def _watch(self, silence: Silence) -> None:
        while not self._closed.wait(_ASKED_SECONDS):
            if silence.is_too_long():
                self._end(f"the training made no step for {silence.max_seconds:g} s (max_silence): it hangs")
                return
