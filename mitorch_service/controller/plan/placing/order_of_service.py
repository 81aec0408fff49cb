"""The order in which waiting trainings are given nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from mitorch_service.controller.plan.placing.fair_share import Shares
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.training import TrainingRow


class OrderOfService:
    """Yields trainings by priority, then age, or where shares are counted by these; `start` tells of one that was given
    nodes."""

    def __init__(self, waiting: Sequence[TrainingRow], shares: Shares | None = None) -> None:
        self._waiting = in_order(waiting)
        self._shares = shares

    def __iter__(self) -> Iterator[TrainingRow]:
        return iter(self._waiting) if self._shares is None else self._shares.serve(self._waiting)

    def start(self, row: TrainingRow) -> None:
        """Notes that a training was given its nodes."""
        if self._shares is not None:
            self._shares.start(row)


def open_shares(now: datetime, snapshot: Snapshot) -> Shares | None:
    """Returns the standing of the shares before the first assignment of a pass; None where none are counted."""
    settings = snapshot.policy.fair_share
    return None if settings is None else Shares(now, settings, snapshot.usage, snapshot.active)


def in_order(waiting: Iterable[TrainingRow]) -> list[TrainingRow]:
    """Returns each training once, by priority, then age."""
    return sorted({row.id: row for row in waiting}.values(), key=lambda r: (r.priority, r.arrival, r.id))
