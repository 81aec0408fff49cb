"""Promotion: every trial runs to the first rung and is paused there; winners go on from their checkpoints (ASHA as Li
et al. 2020 have it). The epochs spent are those of the rungs.

A store keeps for each rung: how many trials reached it, and the best one that is paused there with how many of those
that reached it are better: three indexed lookups a rung, however many trials there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """What is known of one rung. Losses: lower is better."""

    epochs: int
    reached: int  # trials with a value after so many epochs: paused here, gone on, or failed later
    paused: int | None = None  # the number of the best trial that is paused here
    loss: float = math.inf  # its loss
    better: int = 0  # of those that reached the rung


@dataclass(frozen=True)
class Promotion:
    """A paused trial that goes on, and up to where."""

    number: int
    epochs: int


def promotion(rungs: Sequence[Rung], factor: int, max_epochs: int) -> Promotion | None:
    """The trial that goes on next: of the highest rung that has one among its best 1/factor. None: a new one begins."""
    for rung, goal in _downwards(rungs, max_epochs):
        if _has_finite(rung) and rung.better < rung.reached // factor:
            return Promotion(rung.paused or 0, goal)
    return None


def last_promotion(rungs: Sequence[Rung], max_epochs: int) -> Promotion | None:
    """When no new trial may begin and `promotion` has none: the best of the highest rung that trials reached goes on if
    it is still paused, so that a search ends with a whole training. None: the search has come to its end."""
    for rung, goal in _downwards(rungs, max_epochs):
        if rung.reached:
            return Promotion(rung.paused or 0, goal) if _has_finite(rung) and rung.better == 0 else None
    return None


def _downwards(rungs: Sequence[Rung], max_epochs: int) -> list[tuple[Rung, int]]:
    """From the highest rung to the first, each with the epochs of the next one."""
    goals = [*(rung.epochs for rung in rungs[1:]), max_epochs]
    return list(zip(rungs, goals, strict=True))[::-1]


def _has_finite(rung: Rung) -> bool:
    return rung.paused is not None and math.isfinite(rung.loss)
