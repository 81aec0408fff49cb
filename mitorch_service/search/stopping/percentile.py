"""The percentile rule, of which the median rule (Golovin et al. 2017, Vizier) is the one with 50."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.search.stopping.base import Question, Standing, Stopper, best_so_far


class Percentile(Stopper):
    """A trial ends when its best value so far is not within the best `percentile` per cent of what others had after as
    many epochs. Nothing ends before `min_epochs`, nor before `min_trials` others got as far."""

    def __init__(self, percentile: float = 50.0, min_epochs: int = 1, min_trials: int = 5, every: int = 1) -> None:
        self.percentile, self.min_epochs, self.min_trials, self.every = percentile, min_epochs, min_trials, every

    def question(self, number: int, curve: Sequence[float]) -> Question | None:
        epochs = len(curve)
        due = epochs >= self.min_epochs and (epochs - self.min_epochs) % self.every == 0
        return Question(epochs, best_so_far(curve)) if due else None

    def stops(self, question: Question, standing: Standing) -> bool:
        others = standing.reached - 1
        return others >= self.min_trials and standing.better > others * self.percentile / 100
