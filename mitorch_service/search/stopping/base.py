"""The contract of early stopping: a running trial shows its curve, is told how it stands, and goes on or not.

A store answers with one indexed lookup per rung: of the trials of this job and bracket that have a value after so many
epochs, how many there are and how many are better. Values are losses: lower is better; what is not finite is infinite,
loses against every finite one and counts as having reached the rung.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """What a store must be asked before a trial goes on."""

    epochs: int  # after which the values are compared
    loss: float  # the trial's own
    bracket: int = 0  # only trials of this one are compared


@dataclass(frozen=True)
class Standing:
    """The answer. The trial itself counts among those that reached the rung."""

    reached: int
    better: int

    @classmethod
    def of(cls, question: Question, losses: Iterable[float]) -> Standing:
        """The answer from the losses of all trials that reached the rung: what a store's answer must be equal to."""
        known = list(losses)
        return cls(len(known), sum(loss < question.loss for loss in known))


class Stopper(ABC):
    """One rule. It knows no other trial but through a Standing."""

    def bracket(self, number: int) -> int:
        """The group of trials that trial `number` is compared with; it follows from the number alone."""
        return 0

    @abstractmethod
    def question(self, number: int, curve: Sequence[float]) -> Question | None:
        """What to ask after the last epoch of the curve (losses from the first epoch on). None: nothing, it goes on."""

    @abstractmethod
    def stops(self, question: Question, standing: Standing) -> bool:
        """Whether the trial that asked ends here."""

    def observed_epochs(self, max_epochs: int) -> list[int]:
        """After which epochs the sampler wants to know the value of stopped trials: 1, 3, 9… and those of the rungs."""
        return [epochs for epochs in rungs(1, 3, max_epochs)]


def best_so_far(curve: Sequence[float]) -> float:
    """What a trial is judged by: one bad epoch is no reason to end it. Infinite where the last loss is."""
    return min(curve) if math.isfinite(curve[-1]) else math.inf


def rungs_before(max_epochs: int, factor: int, min_epochs: int = 1) -> list[int]:
    """max_epochs / factor, / factor², … down to min_epochs, rounded down; ascending. Counted from the end, so that the
    last rung leaves as much to be saved as the factor says."""
    found = []
    while (max_epochs := max_epochs // factor) >= max(min_epochs, 1):
        found.append(max_epochs)
    return found[::-1]


def rungs(first: int, factor: int, max_epochs: int) -> list[int]:
    """first, first x factor, … below max_epochs."""
    found = []
    while first < max_epochs:
        found.append(first)
        first *= factor
    return found
