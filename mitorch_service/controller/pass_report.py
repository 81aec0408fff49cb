"""The record of one pass: the snapshot that it worked on, its events and its counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mitorch_service.controller.plan.snapshot import Snapshot


class PassCount(StrEnum):
    """The counters of a pass."""

    TRIALS_ADDED = "trials_added"
    TRIALS_RESUMED = "trials_resumed"  # paused trials
    LAUNCHED = "launched"
    ENDED = "ended"  # attempts whose run had not reported its own end; of these:
    LOST = "lost"
    REFUSED = "refused"  # by a cluster that did not accept them
    FAILED = "failed"  # and documents that cannot be read
    CANCELED = "canceled"  # and trainings that never ran
    JOBS_ENDED = "jobs_ended"


@dataclass(frozen=True)
class Event:
    """Something that a pass did, or failed to do, in words."""

    text: str
    failed: bool = False
    counters: tuple[PassCount, ...] = ()  # that it adds to
    amount: int = 1  # that it adds
    trace: str | None = None  # the traceback of an error that nobody foresaw


@dataclass(frozen=True)
class PassReport:
    """The snapshot and the events of one pass."""

    snapshot: Snapshot
    events: list[Event] = field(default_factory=list)
    complete: bool = True  # False: time ran out before everything was done

    def count(self, counter: PassCount) -> int:
        """Returns the value of one counter."""
        return sum(event.amount for event in self.events if counter in event.counters)

    @property
    def idle(self) -> bool:
        """Whether there was nothing to run, to watch or to expand, as far as is known."""
        seen = self.snapshot
        return not (seen.queue or seen.active or seen.jobs or seen.partial)
