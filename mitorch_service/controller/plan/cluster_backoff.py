"""Keeps trainings away from a cluster that has refused some, or whose runs could not write, for a while. Pure.

There is no memory between passes except the attempts of the trainings: of those back in the queue, which cluster has
refused or blocked them; of the active ones, which cluster has accepted or started one since. Such a cluster gets none
for BACKOFF, and then one a pass (a probe) until it accepts one, so that a mistake in the settings does not use up the
attempts of a whole queue. A training waits longer with each refusal by the same cluster; it may go to others at once.

A run on a cluster where something cannot be written (an attempt that is `blocked`) checks that before it starts. So a
probe must have started there, and while it has not, no other follows. One that has started and ended between two passes
is not seen: a cluster of which nothing more was heard for another BACKOFF is open again.

Where the storage of a data set has refused a run (`of_data` of the attempt), the same holds for the trainings of that
data set on that cluster, and for no others.
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
_Scope = tuple[str, str | None]  # a cluster, for all trainings or those of one data set


class ClusterBackoff:
    """The clusters that are in backoff at one moment."""

    def __init__(self, now: datetime, queue: Iterable[TrainingRow] = (), active: Iterable[TrainingRow] = ()) -> None:
        """`queue`: its head; `active`: queued and running trainings."""
        self._now = now
        self._probed: set[_Scope] = set()  # what is in backoff and gets a training in this pass
        self._blocked_since: dict[_Scope, datetime] = {}
        self._runs = [(row, attempt) for row in active if (attempt := row.current_attempt()) is not None]
        newest: dict[_Scope, _Setback] = {}
        for row in queue:
            for attempt in setbacks(row) if row.attempts else ():
                at, scope = _end(attempt), _scope(row, attempt)
                if scope not in newest or newest[scope][0] < at:
                    newest[scope] = (at, row, attempt)
                if attempt.outcome == AttemptOutcome.BLOCKED:
                    self._blocked_since[scope] = min(at, self._blocked_since.get(scope, at))
        self._last = {scope: setback for scope, setback in newest.items() if not self._is_over(setback)}

    def why_blocked(self, training: TrainingRow, cluster: str) -> str | None:
        """Returns the reason why the cluster does not get the training now; None if it may."""
        own = setbacks(training, cluster) if training.attempts else []
        if own:
            retry_at = _end(own[-1]) + min(len(own), _MOST) * BACKOFF
            if self._now < retry_at:
                times = "" if len(own) == 1 else f" {len(own)} times, most recently"
                what = "could not run it" if _is_blocked(own[-1]) else "has refused it"
                return f"{what}{times} ({own[-1].reason}): retrying at {retry_at:%H:%M:%S}"
        return self._why_rests((cluster, None)) or self._why_rests((cluster, str(training.dataset)))

    def rests(self, cluster: str) -> bool:
        """Whether the cluster gets no training now, or no other in this pass."""
        return self._why_rests((cluster, None)) is not None

    def last_refusal(self, cluster: str) -> str | None:
        """Returns the cluster's last refusal, or since when its runs cannot write, with the reason; None if it has
        accepted (or started) a training since."""
        return self._last_refusal((cluster, None))

    def blocked_clusters(self) -> dict[str, str]:
        """Returns the clusters whose runs cannot write, each with its `last_refusal`."""
        blocked = [cluster for (cluster, data), (_, _, last) in self._last.items() if not data and _is_blocked(last)]
        return {cluster: str(self.last_refusal(cluster)) for cluster in blocked}

    def refused_data(self) -> dict[str, str]:
        """Returns the data sets whose storage has refused runs, each with where, since when and why."""
        return {data: f"on {name}: {self._last_refusal((name, data))}" for name, data in self._last if data is not None}

    def record_probe(self, training: TrainingRow, cluster: str) -> None:
        """Notes that the cluster gets the training in this pass."""
        self._probed |= {(cluster, None), (cluster, str(training.dataset))}

    def _why_rests(self, scope: _Scope) -> str | None:
        if scope not in self._last:
            return None
        refusal = self._last_refusal(scope)
        if self._now < self._last[scope][0] + BACKOFF or self._is_being_probed(self._last[scope]):
            return refusal
        return f"{refusal}: it gets one training a pass until it accepts one" if scope in self._probed else None

    def _last_refusal(self, scope: _Scope) -> str | None:
        if scope not in self._last:
            return None
        at, row, attempt = self._last[scope]
        retry = f": retrying at {at + BACKOFF:%H:%M:%S}" if self._now < at + BACKOFF else ""
        if _is_blocked(attempt):
            retry = ": one training is being tried" if self._is_being_probed(self._last[scope]) else retry
            return f"rests since {self._blocked_since[scope]:%Y-%m-%d %H:%M:%S} ({attempt.reason}){retry}"
        return f"has refused training {row.id[:8]} ({attempt.reason}){retry}"

    def _runs_in(self, scope: _Scope) -> list[Attempt]:
        cluster, data = scope
        return [run for row, run in self._runs if run.cluster == cluster and data in (None, str(row.dataset))]

    def _is_over(self, setback: _Setback) -> bool:
        at, row, last = setback
        here = self._runs_in(_scope(row, last))
        if not _is_blocked(last):
            return any(run.submitted_at is not None and run.submitted_at >= at for run in here)
        if any(run.started_at is not None and run.started_at > at for run in here):
            return True
        return self._now >= at + 2 * BACKOFF and not self._is_being_probed(setback)

    def _is_being_probed(self, setback: _Setback) -> bool:
        """Whether a run was assigned to the cluster since something could not be written there, and has not started."""
        at, row, last = setback
        runs = (run for run in self._runs_in(_scope(row, last)) if run.started_at is None)
        return _is_blocked(last) and any(run.queued_at > at for run in runs)


def setbacks(training: TrainingRow, cluster: str | None = None) -> list[Attempt]:
    """Returns the attempts of a training since its last retry that one cluster, or any, has refused or blocked."""
    return [
        attempt
        for attempt in training.attempts
        if attempt.outcome in _SETBACKS and attempt.number > training.budget_from and cluster in (None, attempt.cluster)
    ]


def _scope(training: TrainingRow, attempt: Attempt) -> _Scope:
    return attempt.cluster, str(training.dataset) if attempt.of_data else None


def _is_blocked(attempt: Attempt) -> bool:
    return attempt.outcome == AttemptOutcome.BLOCKED


def _end(attempt: Attempt) -> datetime:
    return attempt.ended_at or attempt.queued_at
