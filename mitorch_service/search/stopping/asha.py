"""Asynchronous successive halving, in its stopping variant: at each rung only the best 1/factor continue (Li et al., A
System for Massively Parallel Hyperparameter Tuning, 2020).

The defaults are careful. A sampler that learns proposes more and more points like its best ones, so that the trials get
closer to each other, and a cut stops good ones by chance. So one half continues, after an eighth, a quarter and a half
of the epochs, and each trial is judged by its best epoch so far, not by its last. A stopped trial never shows a late
improvement, so that the sampler would avoid slow starters: one trial of eight is never stopped, and shows how others
would have ended. Measured in tests/benchmarks/search_quality.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.search.stopping.base import (
    Question,
    Standing,
    Stopper,
    best_so_far,
    last_epochs,
    rungs_before,
)

_GRACE = 8  # no trial stops in the first 1/8 of the epochs
_WHOLE_EVERY, _WHOLE = 8, 5  # trials whose number has this remainder run to their end


class Asha(Stopper):
    """Rungs at max_epochs / factor, / factor² … down to min_epochs. The best trial so far always continues, and if
    `spares`, so does one of eight, which is not compared."""

    def __init__(self, max_epochs: int, min_epochs: int | None = None, factor: int = 2, spares: bool = True) -> None:
        self.factor, self.spares = factor, spares
        self.rungs = rungs_before(max_epochs, factor, max_epochs // _GRACE if min_epochs is None else min_epochs)

    def question(self, number: int, curve: Sequence[float], epochs: Sequence[int] | None = None) -> Question | None:
        before, now = last_epochs(curve, epochs)
        passed = [rung for rung in self.rungs if before < rung <= now]
        if not passed or (self.spares and number % _WHOLE_EVERY == _WHOLE):
            return None
        return Question(passed[-1], best_so_far(curve))

    def stops(self, question: Question, standing: Standing) -> bool:
        return standing.better >= max(standing.reached // self.factor, 1)

    def observed_epochs(self, max_epochs: int) -> list[int]:
        return self.rungs
