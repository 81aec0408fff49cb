"""Finds a short history that fails as a long one does: cuts its end off, then takes out what happened, part by part."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.simulation.choices import Choices
from tests.simulation.histories import Histories, Mutant, Outcome

_MOST_RUNS = 400


@dataclass
class Shrinking:
    """The shortest failing choices so far."""

    run: Callable[[Sequence[int]], Outcome]
    kind: str
    best: list[int]
    left: int

    def fails(self, choices: Sequence[int]) -> bool:
        """Tries shorter choices, and keeps them if the history still fails in the same way."""
        if self.left <= 0:
            return False
        self.left -= 1
        outcome = self.run(choices)
        if outcome.violation is None or kind_of(outcome.violation) != self.kind:
            return False
        self.best = [*choices]
        return True


def shrink(histories: Histories, outcome: Outcome, mutant: Mutant, most_runs: int = _MOST_RUNS) -> Sequence[int]:
    """Returns choices that give a short history with the same kind of violation as this outcome."""

    def run(choices: Sequence[int]) -> Outcome:
        return histories.run(Choices(None, choices), mutant)

    shrinking = Shrinking(run, kind_of(outcome.violation or ""), [*outcome.choices], most_runs)
    if not shrinking.fails([*outcome.choices]):
        return outcome.choices  # what follows the last choice matters, too
    _cut_end(shrinking)
    size = max(1, len(shrinking.best) // 4)
    while size >= 1 and shrinking.left > 0:
        _calm_parts(shrinking, size)
        size //= 2
    _cut_end(shrinking)
    return shrinking.best


def kind_of(violation: str) -> str:
    """Returns the words of a violation without ids and numbers."""
    words = re.sub(r"\[[^\]]*\]|\{[^}]*\}", "[]", violation)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f-]{27})?|\d+", "#", words)


def _cut_end(shrinking: Shrinking) -> None:
    low, high = 0, len(shrinking.best)
    while low < high:
        middle = (low + high) // 2
        if shrinking.fails(shrinking.best[:middle]):
            high = middle
        else:
            low = middle + 1


def _calm_parts(shrinking: Shrinking, size: int) -> None:
    """Takes parts out, or else lets nothing happen in them."""
    start = len(shrinking.best) - size
    while start >= 0 and shrinking.left > 0:
        before, part, after = (
            shrinking.best[:start],
            shrinking.best[start : start + size],
            shrinking.best[start + size :],
        )
        if any(part) and not shrinking.fails([*before, *after]):
            shrinking.fails([*before, *[0] * len(part), *after])
        start -= size
