"""A reporter for tests, and an end of the process that a test survives."""

from __future__ import annotations

from mitorch_service.models.result import EpochResult
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan

Curve = list[tuple[int, float | None, float | None, dict[str, float], float | None]]


class Killed(Exception):
    """Stands for the end of the process."""


class Recorder(Reporter):
    """Remembers everything; asks to stop when asked for the `stop_at`-th time, is killed after step `kill_at`."""

    def __init__(self, stop_at: int | None = None, kill_at: tuple[int, int] | None = None) -> None:
        self.plans: list[TrainingPlan] = []
        self.steps: list[tuple[int, int, int]] = []
        self.losses: list[float] = []
        self.results: list[EpochResult] = []
        self.notes: list[str] = []
        self._stop_at, self._kill_at, self._asked = stop_at, kill_at, 0

    def training_started(self, plan: TrainingPlan) -> None:
        self.plans.append(plan)

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self.steps.append((epoch, step, steps))
        self.losses.append(loss)
        if (epoch, step) == self._kill_at:
            raise Killed

    def epoch_ended(self, result: EpochResult) -> None:
        self.results.append(result)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def should_stop(self) -> bool:
        self._asked += 1
        return self._asked == self._stop_at

    def curve(self) -> Curve:
        """All that does not depend on the clock."""
        return [(one.epoch, one.train_loss, one.val_loss, one.metrics, one.learning_rate) for one in self.results]
