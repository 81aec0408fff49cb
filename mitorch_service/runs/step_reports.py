"""Chooses the steps of a training that are recorded: the last one, once a second."""

from __future__ import annotations

import math
import time

from mitorch_service.models.training import StepProgress

_SECONDS = 1.0


class StepReports:
    """Called in the training's thread, at each step."""

    def __init__(self, attempt: int) -> None:
        self._attempt = attempt
        self._last = -math.inf

    def beginning(self, steps: int) -> StepProgress:
        """The record before the first step."""
        self._last = time.monotonic()
        return StepProgress(attempt=self._attempt, epoch=1, step=0, steps=steps)

    def due(self, epoch: int, step: int, steps: int, loss: float) -> StepProgress | None:
        """The record of this step, or None if one was made in the last second."""
        now = time.monotonic()
        if now - self._last < _SECONDS:
            return None
        self._last = now
        shown = loss if math.isfinite(loss) else None
        return StepProgress(attempt=self._attempt, epoch=epoch, step=step, steps=steps, loss=shown)
