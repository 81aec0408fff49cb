"""The contract of early stopping: from a running trial's curve and its standing among the others, continue or stop.

A store gives the standing by one indexed lookup per rung: of the trials of this job and bracket with a value at the
rung, their number and how many of them are better. Values are losses: lower is better. A loss that is not finite counts
as infinite: worse than all finite ones, and as having reached the rung.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """The comparison that decides whether a trial continues."""

    epochs: int  # after which the losses are compared; the trial's next report may have come later
    loss: float  # the trial's own
    bracket: int = 0  # only trials of the same bracket are compared


@dataclass(frozen=True)
class Standing:
    """The result of the comparison. The trial itself counts among those that reached the rung."""

    reached: int
    better: int

    @classmethod
    def of(cls, question: Question, losses: Iterable[float]) -> Standing:
        """Returns the standing from the losses of all trials that reached the rung; a store's must be equal to it."""
        known = list(losses)
        return cls(len(known), sum(loss < question.loss for loss in known))


class Stopper(ABC):
    """A rule of early stopping. It sees other trials through a Standing only."""

    def bracket(self, number: int) -> int:
        """Returns the group of trials with which trial `number` is compared; it depends on the number alone."""
        return 0

    @abstractmethod
    def question(self, number: int, curve: Sequence[float], epochs: Sequence[int] | None = None) -> Question | None:
        """Returns the comparison after the last epoch of the curve; None: it continues. `epochs`: those of its losses,
        ascending, as a script may report some only; None: 1, 2, 3…"""

    @abstractmethod
    def stops(self, question: Question, standing: Standing) -> bool:
        """Whether the trial stops here."""

    def observed_epochs(self, max_epochs: int) -> list[int]:
        """Returns the epochs at which the sampler gets the values of stopped trials: 1, 3, 9…, or the rungs."""
        return rungs(1, 3, max_epochs)


def last_epochs(curve: Sequence[float], epochs: Sequence[int] | None) -> tuple[int, int]:
    """Returns the epoch of the report before the last one (0: there is none), and that of the last one."""
    known = range(1, len(curve) + 1) if epochs is None else epochs
    return (known[-2] if len(known) > 1 else 0), known[-1]


def best_so_far(curve: Sequence[float]) -> float:
    """Returns the loss by which a trial is judged, so that one bad epoch does not stop it; infinite if the last is."""
    return min(curve) if math.isfinite(curve[-1]) else math.inf


def rungs_before(max_epochs: int, factor: int, min_epochs: int = 1) -> list[int]:
    """Returns max_epochs / factor, / factor², … down to min_epochs, rounded down; ascending. Counted from the end, so
    that a trial that stops at the last rung saves 1 - 1/factor of its epochs."""
    found = []
    while (max_epochs := max_epochs // factor) >= max(min_epochs, 1):
        found.append(max_epochs)
    return found[::-1]


def rungs(first: int, factor: int, max_epochs: int) -> list[int]:
    """Returns first, first x factor, … below max_epochs."""
    found = []
    while first < max_epochs:
        found.append(first)
        first *= factor
    return found
