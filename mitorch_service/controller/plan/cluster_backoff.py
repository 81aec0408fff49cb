"""Keeps trainings away from a cluster that has refused some, for a while. Pure.

There is no memory between passes except the attempts of the trainings: of those back in the queue, which cluster has
refused them; of the active ones, which cluster has accepted one since. A cluster that has refused a training gets none
for BACKOFF, and then one a pass (a probe) until it accepts one, so that a mistake in the settings does not use up the
attempts of a whole queue. A training waits longer with each refusal by the same cluster; it may go to others at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Attempt, TrainingRow

BACKOFF = timedelta(minutes=5)


class ClusterBackoff:
    """The clusters that are in backoff at one moment."""

    def __init__(self, now: datetime, queue: Iterable[TrainingRow] = (), active: Iterable[TrainingRow] = ()) -> None:
        """`queue`: its head; `active`: queued and running trainings."""
        self._now = now
        self._probed: set[str] = set()  # clusters in backoff that get a training in this pass
        accepted = _last_accepted(active)
        newest: dict[str, tuple[datetime, TrainingRow, Attempt]] = {}
        for row in queue:
            for attempt in refusals(row):
                at = attempt.ended_at or attempt.queued_at
                if attempt.cluster not in newest or newest[attempt.cluster][0] < at:
                    newest[attempt.cluster] = (at, row, attempt)
        self._refused = {name: x for name, x in newest.items() if name not in accepted or accepted[name] < x[0]}

    def why_blocked(self, training: TrainingRow, cluster: str) -> str | None:
        """Returns the reason why the cluster does not get the training now; None if it may."""
        own = refusals(training, cluster)
        if own:
            retry_at = (own[-1].ended_at or own[-1].queued_at) + len(own) * BACKOFF
            if self._now < retry_at:
                times = "" if len(own) == 1 else f" {len(own)} times, most recently"
                return f"has refused it{times} ({own[-1].reason}): retrying at {retry_at:%H:%M:%S}"
        if cluster not in self._refused:
            return None
        refusal = self.last_refusal(cluster)
        if self._now < self._refused[cluster][0] + BACKOFF:
            return refusal
        return f"{refusal}: it gets one training a pass until it accepts one" if cluster in self._probed else None

    def last_refusal(self, cluster: str) -> str | None:
        """Returns the cluster's last refusal and its reason; None if it has accepted a training since."""
        if cluster not in self._refused:
            return None
        at, row, attempt = self._refused[cluster]
        retry = f": retrying at {at + BACKOFF:%H:%M:%S}" if self._now < at + BACKOFF else ""
        return f"has refused training {row.id[:8]} ({attempt.reason}){retry}"

    def record_probe(self, cluster: str) -> None:
        """Notes that the cluster gets a training in this pass."""
        self._probed.add(cluster)


def refusals(training: TrainingRow, cluster: str | None = None) -> list[Attempt]:
    """Returns the refused attempts of a training since its last retry, by one cluster or by all."""
    return [
        attempt
        for attempt in training.attempts
        if attempt.outcome == AttemptOutcome.REFUSED
        and attempt.number > training.budget_from
        and cluster in (None, attempt.cluster)
    ]


def _last_accepted(active: Iterable[TrainingRow]) -> dict[str, datetime]:
    """The time at which each cluster last accepted a run that is still active."""
    accepted: dict[str, datetime] = {}
    for row in active:
        attempt = row.current_attempt()
        if attempt is not None and attempt.submitted_at is not None:
            accepted[attempt.cluster] = max(attempt.submitted_at, accepted.get(attempt.cluster, attempt.submitted_at))
    return accepted
