"""The failures of the last weeks, by their kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.models.status import ENDED_BADLY, TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Failure

WEEK = timedelta(days=7)
MONTH = timedelta(days=30)
_LOOKED_AT = 2000  # of each status, the newest submitted
_KINDS = 30


@dataclass(frozen=True)
class FailureKind:
    """Trainings that failed for the same kind of reason."""

    kind: str  # the type of the error; `diverged`
    last_week: int
    last_month: int
    latest: Failure

    @property
    def message(self) -> str:
        """The reason of the latest, in words."""
        return self.latest.error.message if self.latest.error else ""


@dataclass(frozen=True)
class FailureReport:
    """The kinds of failures, the most frequent of the week first."""

    kinds: Sequence[FailureKind]
    complete: bool  # False: there are more than were looked at; the counts are of the newest


def read_failures(store: Store, now: datetime) -> FailureReport:
    """Counts the failures that ended in the last 30 days, among the newest 2,000 of each status."""
    found: dict[str, list[Failure]] = {}
    complete = True
    for status in ENDED_BADLY:
        listing = store.trainings.list_failures(status, _LOOKED_AT)
        rows = listing.items
        complete &= len(rows) + len(listing.broken) < _LOOKED_AT or now - rows[-1].created_at > MONTH
        for row in rows:
            if now - row.ended_at() <= MONTH:
                found.setdefault(_kind(row), []).append(row)
    kinds = [_count(kind, rows, now) for kind, rows in found.items()]
    kinds.sort(key=lambda one: (-one.last_week, -one.last_month, one.kind))
    return FailureReport(kinds[:_KINDS], complete)


def _count(kind: str, rows: Sequence[Failure], now: datetime) -> FailureKind:
    week = sum(now - row.ended_at() <= WEEK for row in rows)
    return FailureKind(kind, week, len(rows), max(rows, key=Failure.ended_at))


def _kind(row: Failure) -> str:
    if row.status == TrainingStatus.DIVERGED:
        return "diverged"
    return row.error.type if row.error else "unknown"
