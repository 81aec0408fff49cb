"""Keeps trainings away from a cluster that has refused some, or whose runs could not write, for a while. Pure.

There is no memory between passes except the attempts of the trainings: of those back in the queue, which cluster has
refused or blocked them; of the active ones, which cluster has accepted or started one since. Such a cluster gets none
for BACKOFF, and then one a pass (a probe) until it accepts one, so that a mistake in the settings does not use up the
attempts of a whole queue. A training waits longer with each refusal by the same cluster; it may go to others at once.

A run on a cluster where something cannot be written (an attempt that is `blocked`) checks that before it starts. So a
probe must have started there, and while it has not, no other follows. One that has started and ended between two passes
is not seen: a cluster of which nothing more was heard for another BACKOFF is open again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Attempt, TrainingRow

BACKOFF = timedelta(minutes=5)
_MOST = 12  # times BACKOFF, which a training waits before it goes to the same cluster again
_SETBACKS = (AttemptOutcome.REFUSED, AttemptOutcome.BLOCKED)
_Setback = tuple[datetime, TrainingRow, Attempt]


class ClusterBackoff:
    """The clusters that are in backoff at one moment."""

    def __init__(self, now: datetime, queue: Iterable[TrainingRow] = (), active: Iterable[TrainingRow] = ()) -> None:
        """`queue`: its head; `active`: queued and running trainings."""
        self._now = now
        self._probed: set[str] = set()  # clusters in backoff that get a training in this pass
        self._blocked_since: dict[str, datetime] = {}
        self._runs = [attempt for row in active if (attempt := row.current_attempt()) is not None]
        newest: dict[str, _Setback] = {}
        for row in queue:
            for attempt in setbacks(row):
                at = _end(attempt)
                if attempt.cluster not in newest or newest[attempt.cluster][0] < at:
                    newest[attempt.cluster] = (at, row, attempt)
                if attempt.outcome == AttemptOutcome.BLOCKED:
                    self._blocked_since[attempt.cluster] = min(at, self._blocked_since.get(attempt.cluster, at))
        self._last = {name: setback for name, setback in newest.items() if not self._is_over(setback)}

    def why_blocked(self, training: TrainingRow, cluster: str) -> str | None:
        """Returns the reason why the cluster does not get the training now; None if it may."""
        own = setbacks(training, cluster)
        if own:
            retry_at = _end(own[-1]) + min(len(own), _MOST) * BACKOFF
            if self._now < retry_at:
                times = "" if len(own) == 1 else f" {len(own)} times, most recently"
                what = "could not run it" if _is_blocked(own[-1]) else "has refused it"
                return f"{what}{times} ({own[-1].reason}): retrying at {retry_at:%H:%M:%S}"
        if cluster not in self._last:
            return None
        refusal = self.last_refusal(cluster)
        if self._now < self._last[cluster][0] + BACKOFF or self._is_being_probed(self._last[cluster]):
            return refusal
        return f"{refusal}: it gets one training a pass until it accepts one" if cluster in self._probed else None

    def last_refusal(self, cluster: str) -> str | None:
        """Returns the cluster's last refusal, or since when its runs cannot write, with the reason; None if it has
        accepted (or started) a training since."""
        if cluster not in self._last:
            return None
        at, row, attempt = self._last[cluster]
        retry = f": retrying at {at + BACKOFF:%H:%M:%S}" if self._now < at + BACKOFF else ""
        if _is_blocked(attempt):
            retry = ": one training is being tried" if self._is_being_probed(self._last[cluster]) else retry
            return f"rests since {self._blocked_since[cluster]:%Y-%m-%d %H:%M:%S} ({attempt.reason}){retry}"
        return f"has refused training {row.id[:8]} ({attempt.reason}){retry}"

    def blocked_clusters(self) -> dict[str, str]:
        """Returns the clusters whose runs cannot write, each with its `last_refusal`."""
        return {name: str(self.last_refusal(name)) for name, (_, _, last) in self._last.items() if _is_blocked(last)}

    def record_probe(self, cluster: str) -> None:
        """Notes that the cluster gets a training in this pass."""
        self._probed.add(cluster)

    def _is_over(self, setback: _Setback) -> bool:
        at, _, last = setback
        here = [run for run in self._runs if run.cluster == last.cluster]
        if not _is_blocked(last):
            return any(run.submitted_at is not None and run.submitted_at >= at for run in here)
        if any(run.started_at is not None and run.started_at > at for run in here):
            return True
        return self._now >= at + 2 * BACKOFF and not self._is_being_probed(setback)

    def _is_being_probed(self, setback: _Setback) -> bool:
        """Whether a run was assigned to the cluster since something could not be written there, and has not started."""
        at, _, last = setback
        runs = (run for run in self._runs if run.cluster == last.cluster and run.started_at is None)
        return _is_blocked(last) and any(run.queued_at > at for run in runs)


def setbacks(training: TrainingRow, cluster: str | None = None) -> list[Attempt]:
    """Returns the attempts of a training since its last retry that one cluster, or any, has refused or blocked."""
    return [
        attempt
        for attempt in training.attempts
        if attempt.outcome in _SETBACKS and attempt.number > training.budget_from and cluster in (None, attempt.cluster)
    ]


def _is_blocked(attempt: Attempt) -> bool:
    return attempt.outcome == AttemptOutcome.BLOCKED


def _end(attempt: Attempt) -> datetime:
    return attempt.ended_at or attempt.queued_at
