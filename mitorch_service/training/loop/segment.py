"""The part of a training that one attempt runs, where its search lets it run in parts."""

from __future__ import annotations

from dataclasses import dataclass

from mitorch_service.models.training import Training


@dataclass(frozen=True)
class Segment:
    """Where a training pauses, and whose state it went on from. By default it runs from its own beginning to its
    end."""

    pause_at: int | None = None  # pauses after so many epochs, its state kept
    origin: str | None = None  # names another training's state from which it went on last
    shared: bool = False  # the state with which it pauses is kept for others, too


def segment_of(training: Training) -> Segment:
    """What a search asks of its trial; the default for any other training."""
    trial = training.trial
    if trial is None:
        return Segment()
    origin = trial.lineage[-1].origin if trial.lineage else None
    return Segment(trial.pause_at, origin, trial.lineage is not None)
