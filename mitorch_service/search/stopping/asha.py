"""Asynchronous successive halving (Li et al. 2020), its stopping form: at each rung only the best 1/factor go on."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.search.stopping.base import Question, Standing, Stopper, rungs


class Asha(Stopper):
    """Rungs at min_epochs, min_epochs x factor, …; the best trial so far always goes on."""

    def __init__(self, max_epochs: int, min_epochs: int = 1, factor: int = 3) -> None:
        self.factor = factor
        self.rungs = rungs(min_epochs, factor, max_epochs)

    def question(self, number: int, curve: Sequence[float]) -> Question | None:
        return Question(len(curve), curve[-1]) if len(curve) in self.rungs else None

    def stops(self, question: Question, standing: Standing) -> bool:
        return standing.better >= max(standing.reached // self.factor, 1)

    def observed_epochs(self, max_epochs: int) -> list[int]:
        return self.rungs
