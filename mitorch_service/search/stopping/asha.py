"""Asynchronous successive halving (Li et al. 2020), its stopping form: at each rung only the best 1/factor go on.

The defaults are careful. A sampler that learns proposes ever more points like its best ones, so those that a trial is
compared with get better and closer to it, and a cut ends good ones by chance. So half go on, after an eighth, a quarter
and a half of the epochs, and each is judged by its best epoch so far, not by its last, which may be a bad one. And what
was ended is never seen to do well, so the sampler stays away from slow starters: one trial of eight is never ended and
shows what the others would have come to. Measured in tests/benchmarks/search_quality.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.search.stopping.base import Question, Standing, Stopper, best_so_far, rungs_before

_GRACE = 8  # nothing ends within this part of the epochs
_WHOLE_EVERY, _WHOLE = 8, 5  # the trials with this remainder run to their end


class Asha(Stopper):
    """Rungs at 1/factor of max_epochs, 1/factor² … down to min_epochs. The best trial so far always goes on, and, if
    `spares`, so does one of eight, which is not compared."""

    def __init__(self, max_epochs: int, min_epochs: int | None = None, factor: int = 2, spares: bool = True) -> None:
        self.factor, self.spares = factor, spares
        self.rungs = rungs_before(max_epochs, factor, max_epochs // _GRACE if min_epochs is None else min_epochs)

    def question(self, number: int, curve: Sequence[float]) -> Question | None:
        if len(curve) not in self.rungs or (self.spares and number % _WHOLE_EVERY == _WHOLE):
            return None
        return Question(len(curve), best_so_far(curve))

    def stops(self, question: Question, standing: Standing) -> bool:
        return standing.better >= max(standing.reached // self.factor, 1)

    def observed_epochs(self, max_epochs: int) -> list[int]:
        return self.rungs
