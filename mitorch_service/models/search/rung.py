"""A trial's place on a rung, the number of epochs after which the trials of a search are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RungRecord:
    """A trial that reached a rung. `loss`: lower is better."""

    id: str
    number: int  # of the trial
    loss: float
    attempt: int  # that wrote it
