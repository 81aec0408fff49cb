"""Promotion: every trial runs to the first rung and is paused there; winners go on from their checkpoints (ASHA as Li
et al. 2020 have it). The epochs spent are those of the rungs.

A store keeps for each rung how many trials reached it, and those that are paused there, best first, each with how many
of all that reached it are better: a few indexed lookups a rung, however many trials there are.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mitorch_service.search.stopping.base import rungs_before

# One of so many goes on. Measured in tests/benchmarks/promotion.py: a half is better than a third, and rungs from the
# first epoch on are better than from the third.
FACTOR = 2


@dataclass(frozen=True)
class Paused:
    """A trial that waits on a rung. Losses: lower is better."""

    number: int
    loss: float
    better: int  # of those that reached the rung


@dataclass(frozen=True)
class Rung:
    """What is known of one rung."""

    epochs: int
    reached: int = 0  # trials with a value after so many epochs: paused here, gone on, or failed later
    paused: tuple[Paused, ...] = ()  # best first; only as many as may matter


@dataclass(frozen=True)
class Promotion:
    """A paused trial that goes on, and up to where."""

    number: int
    epochs: int  # where it pauses next; max_epochs: nowhere


def promotion_rungs(max_epochs: int, min_epochs: int | None = None, factor: int | None = None) -> list[int]:
    """After which epochs trials are paused: max_epochs / factor, / factor² … down to min_epochs, which is 1 if it is
    not given; ascending."""
    return rungs_before(max_epochs, factor or FACTOR, min_epochs or 1)


def next_rung(rungs: Sequence[int], epochs: int) -> int | None:
    """The first rung behind so many epochs; None: the way to the end is free."""
    return next((rung for rung in rungs if rung > epochs), None)


def promotions(rungs: Sequence[Rung], factor: int, max_epochs: int, most: int) -> list[Promotion]:
    """The trials that go on now, at most so many: of each rung, the highest first, those among its best 1/factor. Where
    there are fewer, new trials may begin."""
    found = [
        Promotion(one.number, goal)
        for rung, goal in _downwards(rungs, max_epochs)
        for one in rung.paused
        if math.isfinite(one.loss) and one.better < rung.reached // factor
    ]
    return found[: max(most, 0)]


def last_promotion(rungs: Sequence[Rung], max_epochs: int, whole: int) -> Promotion | None:
    """When nothing runs, no new trial may begin and `promotions` has none: the best of the highest rung that trials
    reached goes on if it is still paused, so that a search ends with a whole training. If `whole` (the number of trials
    that ran to their end) is 0, because those that went on failed, the best of the highest rung on which one is paused
    does. None: the search has come to its end."""
    reached = [(rung, goal) for rung, goal in _downwards(rungs, max_epochs) if rung.reached]
    for rung, goal in reached:
        best = next((one for one in rung.paused if math.isfinite(one.loss)), None)
        if best is not None and (whole == 0 or best.better == 0):
            return Promotion(best.number, goal)
        if whole:
            return None
    return None


def _downwards(rungs: Sequence[Rung], max_epochs: int) -> Iterator[tuple[Rung, int]]:
    """From the highest rung to the first, each with the epochs of the next one."""
    goals = [*(rung.epochs for rung in rungs[1:]), max_epochs]
    return reversed(list(zip(rungs, goals, strict=False)))


class Ladder:
    """The rungs of one search in memory, for whoever simulates one: what the store and the controller are between them.
    Ask `goal` how far a new trial runs, tell `pause` when one is there, and ask `promote` before each new trial."""

    def __init__(self, max_epochs: int, min_epochs: int | None = None, factor: int | None = None) -> None:
        self._max_epochs, self._factor = max_epochs, factor or FACTOR
        self.rungs = promotion_rungs(max_epochs, min_epochs, factor)
        self._reached: dict[int, list[float]] = {epochs: [] for epochs in self.rungs}
        self._paused: dict[int, list[tuple[float, int]]] = {epochs: [] for epochs in self.rungs}

    def goal(self) -> int:
        """The epochs of a trial that begins."""
        return self.rungs[0] if self.rungs else self._max_epochs

    def pause(self, number: int, epochs: int, loss: float) -> None:
        """A trial has come to the rung that was its goal."""
        insort(self._reached[epochs], loss)
        insort(self._paused[epochs], (loss, number))

    def promote(self) -> Promotion | None:
        """A trial that goes on; it is paused no more. None: a new one begins."""
        found = promotions(self._seen(), self._factor, self._max_epochs, 1)
        return self._taken(found[0]) if found else None

    def promote_last(self, whole: int) -> Promotion | None:
        """The same when no new trial may begin and none runs. None: the search has come to its end."""
        found = last_promotion(self._seen(), self._max_epochs, whole)
        return None if found is None else self._taken(found)

    def _seen(self) -> list[Rung]:
        return [Rung(epochs, len(self._reached[epochs]), tuple(self._best(epochs))) for epochs in self.rungs]

    def _best(self, epochs: int) -> Iterator[Paused]:
        for loss, number in self._paused[epochs][:1]:
            yield Paused(number, loss, bisect_left(self._reached[epochs], loss))

    def _taken(self, promotion: Promotion) -> Promotion:
        for epochs, waiting in self._paused.items():
            self._paused[epochs] = [one for one in waiting if one[1] != promotion.number]
        return promotion
