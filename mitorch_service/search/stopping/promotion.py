"""Promotion: each trial runs to the first rung and is paused there; the best are resumed from their checkpoints (ASHA,
Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020, algorithm 2).

A store keeps for each rung the number of trials that reached it, and those that are paused there, the best first, each
with the number of better ones among all that reached it: a few indexed lookups a rung, however many trials there are.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mitorch_service.search.stopping.base import rungs_before

# One trial of FACTOR is promoted. Measured in tests/benchmarks/promotion.py: a half is better than a third, and rungs
# from the first epoch on are better than from the third.
FACTOR = 2


@dataclass(frozen=True)
class Paused:
    """A trial that is paused on a rung. `loss`: lower is better."""

    number: int
    loss: float
    better: int  # trials among those that reached the rung


@dataclass(frozen=True)
class Rung:
    """The state of one rung."""

    epochs: int
    reached: int = 0  # trials with a value at this rung: paused here, promoted, or failed later
    paused: tuple[Paused, ...] = ()  # the best first; only as many as may matter


@dataclass(frozen=True)
class Promotion:
    """A paused trial to resume."""

    number: int
    epochs: int  # after which it pauses next; max_epochs: it runs to its end


def promotion_rungs(max_epochs: int, min_epochs: int | None = None, factor: int | None = None) -> list[int]:
    """Returns the epochs after which trials are paused, ascending: max_epochs / factor, / factor² … down to min_epochs
    (by default 1)."""
    return rungs_before(max_epochs, factor or FACTOR, min_epochs or 1)


def next_rung(rungs: Sequence[int], epochs: int) -> int | None:
    """Returns the first rung after `epochs`; None: there is none before the end."""
    return next((rung for rung in rungs if rung > epochs), None)


def promotions(rungs: Sequence[Rung], factor: int, max_epochs: int, most: int) -> list[Promotion]:
    """Returns the trials to promote now, at most `most`: on each rung, the highest first, the paused among its best
    1/factor. If there are fewer, new trials may start."""
    found = [
        Promotion(one.number, goal)
        for rung, goal in _downwards(rungs, max_epochs)
        for one in rung.paused
        if math.isfinite(one.loss) and one.better < rung.reached // factor
    ]
    return found[: max(most, 0)]


def last_promotion(rungs: Sequence[Rung], max_epochs: int, whole: int) -> Promotion | None:
    """Returns the promotion when nothing runs, no new trial may start and `promotions` has none, so that a search ends
    with a trial that ran to its end; None: the search is over.

    It is the best trial of the highest rung reached, if that is still paused. If `whole`, the number of trials that ran
    to their end, is 0, because the promoted ones failed, it is the best paused trial of the highest rung that has one.
    """
    reached = [(rung, goal) for rung, goal in _downwards(rungs, max_epochs) if rung.reached]
    for rung, goal in reached:
        best = next((one for one in rung.paused if math.isfinite(one.loss)), None)
        if best is not None and (whole == 0 or best.better == 0):
            return Promotion(best.number, goal)
        if whole:
            return None
    return None


def _downwards(rungs: Sequence[Rung], max_epochs: int) -> Iterator[tuple[Rung, int]]:
    """The rungs from the highest to the first, each with the epochs of the next one."""
    goals = [*(rung.epochs for rung in rungs[1:]), max_epochs]
    return reversed(list(zip(rungs, goals, strict=False)))


class Ladder:
    """The rungs of one search in memory, for simulations: it replaces store and controller. `goal` is the end of a new
    trial; call `pause` when a trial gets there, and `promote` before each new trial."""

    def __init__(self, max_epochs: int, min_epochs: int | None = None, factor: int | None = None) -> None:
        self._max_epochs = max_epochs
        self._factor = factor or FACTOR
        self.rungs = promotion_rungs(max_epochs, min_epochs, factor)
        self._reached: dict[int, list[float]] = {epochs: [] for epochs in self.rungs}
        self._paused: dict[int, list[tuple[float, int]]] = {epochs: [] for epochs in self.rungs}

    def goal(self) -> int:
        """Returns the epochs after which a new trial pauses or ends."""
        return self.rungs[0] if self.rungs else self._max_epochs

    def pause(self, number: int, epochs: int, loss: float) -> None:
        """Pauses a trial that has reached its goal, a rung."""
        insort(self._reached[epochs], loss)
        insort(self._paused[epochs], (loss, number))

    def promote(self) -> Promotion | None:
        """Resumes a paused trial and returns its promotion; None: a new trial starts instead."""
        found = promotions(self._seen(), self._factor, self._max_epochs, 1)
        return self._resume(found[0]) if found else None

    def promote_last(self, whole: int) -> Promotion | None:
        """Does the same when no new trial may start and none runs; None: the search is over."""
        found = last_promotion(self._seen(), self._max_epochs, whole)
        return None if found is None else self._resume(found)

    def _seen(self) -> list[Rung]:
        return [Rung(epochs, len(self._reached[epochs]), tuple(self._best(epochs))) for epochs in self.rungs]

    def _best(self, epochs: int) -> Iterator[Paused]:
        for loss, number in self._paused[epochs][:1]:
            yield Paused(number, loss, bisect_left(self._reached[epochs], loss))

    def _resume(self, promotion: Promotion) -> Promotion:
        for epochs, waiting in self._paused.items():
            self._paused[epochs] = [one for one in waiting if one[1] != promotion.number]
        return promotion
