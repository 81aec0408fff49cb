"""What a pass tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mitorch_service.controller.plan.snapshot import Snapshot


class Counted(StrEnum):
    """What a pass counts of what it did."""

    TRIALS_ADDED = "trials_added"
    TRIALS_RESUMED = "trials_resumed"  # paused trials
    LAUNCHED = "launched"
    ENDED = "ended"  # attempts whose run had not said so itself; of these:
    LOST = "lost"
    REFUSED = "refused"  # by a cluster that would not start them
    FAILED = "failed"  # and documents that cannot be read
    CANCELED = "canceled"  # and trainings that never ran
    JOBS_ENDED = "jobs_ended"


@dataclass(frozen=True)
class Event:
    """Something that a pass did, or could not do, in words."""

    text: str
    failed: bool = False
    counted: tuple[Counted, ...] = ()
    number: int = 1  # how often it counts


@dataclass(frozen=True)
class PassReport:
    """What one pass saw and did."""

    snapshot: Snapshot
    events: list[Event] = field(default_factory=list)
    complete: bool = True  # False: time was up before all was done

    def count(self, kind: Counted) -> int:
        """How much of this it did."""
        return sum(event.number for event in self.events if kind in event.counted)

    @property
    def idle(self) -> bool:
        """Whether there was nothing to run, to watch or to expand."""
        seen = self.snapshot
        return not (seen.queue or seen.active or seen.jobs)
