"""The segment of a training that one attempt runs, if its search pauses it."""

from __future__ import annotations

from dataclasses import dataclass

from mitorch_service.models.training import Training


@dataclass(frozen=True)
class Segment:
    """The epoch after which a training pauses, and the state that it inherited. By default it runs to its end from its
    own beginning."""

    pause_at: int | None = None  # pauses after this many epochs, its state kept
    origin: str | None = None  # names the state of another training that it inherited last
    shared: bool = False  # the state with which it pauses is kept for other trainings, too


def segment_of(training: Training) -> Segment:
    """The segment that a trial's search requests; the default for any other training."""
    trial = training.trial
    if trial is None:
        return Segment()
    origin = trial.lineage[-1].origin if trial.lineage else None
    return Segment(trial.pause_at, origin, trial.lineage is not None)
