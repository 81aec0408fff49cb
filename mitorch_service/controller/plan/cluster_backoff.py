"""Which trainings a cluster is asked again to start after it has refused some. Pure.

There is no memory between passes but the attempts of the trainings themselves: those that went back to the queue say
who has refused them, those that are active who has taken one since. A cluster that has refused one rests for a while,
and then is asked with one training a pass until it takes one, so that a mistake in the settings does not use up the
attempts of a whole queue. A training waits longer with each refusal of the same cluster; others it may go to at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Attempt, TrainingRow

REST = timedelta(minutes=5)


class ClusterBackoff:
    """What keeps trainings from clusters at one moment."""

    def __init__(self, now: datetime, queue: Iterable[TrainingRow] = (), active: Iterable[TrainingRow] = ()) -> None:
        """`queue` and `active`: what the pass sees of both."""
        self._now = now
        self._asked: set[str] = set()  # in this pass, of those that refuse
        taken = _last_taken(active)
        newest: dict[str, tuple[datetime, TrainingRow, Attempt]] = {}
        for row in queue:
            for attempt in refusals(row):
                at = attempt.ended_at or attempt.queued_at
                if attempt.cluster not in newest or newest[attempt.cluster][0] < at:
                    newest[attempt.cluster] = (at, row, attempt)
        self._refused = {name: last for name, last in newest.items() if name not in taken or taken[name] < last[0]}

    def shut(self, training: TrainingRow, cluster: str) -> str | None:
        """Why the cluster is not asked to start the training now; None if it may be."""
        own = refusals(training, cluster)
        if own:
            again = (own[-1].ended_at or own[-1].queued_at) + len(own) * REST
            if self._now < again:
                times = "" if len(own) == 1 else f" {len(own)} times, at last"
                return f"has refused it{times} ({own[-1].reason}): it is asked again from {again:%H:%M:%S} on"
        if cluster not in self._refused:
            return None
        refusal = self.refusal(cluster)
        if self._now < self._refused[cluster][0] + REST:
            return refusal
        return f"{refusal}: until it takes one, it is asked for one a pass" if cluster in self._asked else None

    def refusal(self, cluster: str) -> str | None:
        """What the cluster has refused and why, if it has taken no training since."""
        if cluster not in self._refused:
            return None
        at, row, attempt = self._refused[cluster]
        again = f": it is asked again from {at + REST:%H:%M:%S} on" if self._now < at + REST else ""
        return f"has refused training {row.id[:8]} ({attempt.reason}){again}"

    def go_through(self, cluster: str) -> None:
        """It is asked to start one now."""
        self._asked.add(cluster)


def refusals(training: TrainingRow, cluster: str | None = None) -> list[Attempt]:
    """Those of a training since the last retry, of one cluster or of all."""
    return [
        attempt
        for attempt in training.attempts
        if attempt.outcome == AttemptOutcome.REFUSED
        and attempt.number > training.budget_from
        and cluster in (None, attempt.cluster)
    ]


def _last_taken(active: Iterable[TrainingRow]) -> dict[str, datetime]:
    """When each cluster has last accepted a run that is still active."""
    taken: dict[str, datetime] = {}
    for row in active:
        attempt = row.current_attempt()
        if attempt is not None and attempt.submitted_at is not None:
            taken[attempt.cluster] = max(attempt.submitted_at, taken.get(attempt.cluster, attempt.submitted_at))
    return taken
