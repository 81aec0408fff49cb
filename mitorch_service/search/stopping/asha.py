"""Asynchronous successive halving (Li et al. 2020), its stopping form: at each rung only the best 1/factor go on.

The defaults are careful: half go on, nothing ends within the first eighth of the epochs, and three decisions are made.
A sampler that learns proposes more and more points like its best ones, so those that a trial is compared with get ever
better and closer to it. A sharper or more frequent cut then ends good ones by chance, and the sampler, which believes
what it is told, stays away from them. Measured in tests/benchmarks/search_quality.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.search.stopping.base import Question, Standing, Stopper, rungs_before

_GRACE = 8  # nothing ends within this part of the epochs


class Asha(Stopper):
    """Rungs at 1/factor of max_epochs, 1/factor² … down to min_epochs; the best trial so far always goes on."""

    def __init__(self, max_epochs: int, min_epochs: int | None = None, factor: int = 2) -> None:
        self.factor = factor
        self.rungs = rungs_before(max_epochs, factor, max_epochs // _GRACE if min_epochs is None else min_epochs)

    def question(self, number: int, curve: Sequence[float]) -> Question | None:
        return Question(len(curve), curve[-1]) if len(curve) in self.rungs else None

    def stops(self, question: Question, standing: Standing) -> bool:
        return standing.better >= max(standing.reached // self.factor, 1)

    def observed_epochs(self, max_epochs: int) -> list[int]:
        return self.rungs
