"""Hyperband (Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, 2018): several
successive halvings at once, with different first rungs.

For objectives of which it is unknown whether the first epochs predict the last ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.search.stopping.asha import Asha
from mitorch_service.search.stopping.base import Question, Standing, Stopper, rungs_before


class Hyperband(Stopper):
    """Bracket b stops trials from rung b on. The earlier a bracket stops, the more trials it gets, so that all brackets
    cost the same."""

    def __init__(self, max_epochs: int, min_epochs: int = 1, factor: int = 3) -> None:
        first = rungs_before(max_epochs, factor, min_epochs) or [min_epochs]
        self.brackets = [Asha(max_epochs, epochs, factor, spares=False) for epochs in first]
        shares = [factor**rest / (rest + 1) for rest in range(len(first) - 1, -1, -1)]
        self._turns = _interleaved(shares)

    def bracket(self, number: int) -> int:
        return self._turns[number % len(self._turns)]

    def question(self, number: int, curve: Sequence[float], epochs: Sequence[int] | None = None) -> Question | None:
        bracket = self.bracket(number)
        question = self.brackets[bracket].question(number, curve, epochs)
        return None if question is None else Question(question.epochs, question.loss, bracket)

    def stops(self, question: Question, standing: Standing) -> bool:
        return self.brackets[question.bracket].stops(question, standing)

    def observed_epochs(self, max_epochs: int) -> list[int]:
        return self.brackets[0].rungs


def _interleaved(shares: list[float], length: int = 60) -> list[int]:
    """Bracket numbers, each as often as its share; the one that is furthest behind comes next."""
    assigned = [0.0] * len(shares)
    turns: list[int] = []
    for _ in range(length):
        behind = [share / sum(shares) * (len(turns) + 1) - got for share, got in zip(shares, assigned, strict=True)]
        turns.append(behind.index(max(behind)))
        assigned[turns[-1]] += 1
    return turns
