"""The percentile rule; with 50 it is the median rule of Vizier (Golovin et al., Google Vizier, 2017, section 3.2.2)."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.search.stopping.base import Question, Standing, Stopper, best_so_far, last_epochs


class Percentile(Stopper):
    """Stops a trial whose best loss so far is not within the best `percentile` per cent of the others' at that epoch.
    Stops none before `min_epochs`, nor before `min_trials` others got as far; compares every `every` epochs."""

    def __init__(self, percentile: float = 50.0, min_epochs: int = 1, min_trials: int = 5, every: int = 1) -> None:
        self.percentile, self.min_epochs, self.min_trials, self.every = percentile, min_epochs, min_trials, every

    def question(self, number: int, curve: Sequence[float], epochs: Sequence[int] | None = None) -> Question | None:
        before, now = last_epochs(curve, epochs)
        due = now - (now - self.min_epochs) % self.every
        return Question(due, best_so_far(curve)) if due >= self.min_epochs and due > before else None

    def stops(self, question: Question, standing: Standing) -> bool:
        others = standing.reached - 1
        return others >= self.min_trials and standing.better > others * self.percentile / 100
