"""Patience: a trial that has not improved for some epochs stops, however the others perform."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from mitorch_service.search.stopping.base import Question, Standing, Stopper, last_epochs


class Patient(Stopper):
    """Stops a trial whose best loss of the last `patience` epochs is not better, by more than `min_delta`, than its
    best before them. Compares no trials."""

    def __init__(self, patience: int = 5, min_delta: float = 0.0) -> None:
        self.patience, self.min_delta = patience, min_delta

    def question(self, number: int, curve: Sequence[float], epochs: Sequence[int] | None = None) -> Question | None:
        _, now = last_epochs(curve, epochs)
        known = range(1, len(curve) + 1) if epochs is None else epochs
        earlier = bisect_right(known, now - self.patience)
        before, last = curve[:earlier], curve[earlier:]
        if not before or min(last) < min(before) - self.min_delta:
            return None
        return Question(now, math.inf)  # the standing does not matter

    def stops(self, question: Question, standing: Standing) -> bool:
        return True
