"""Ends runs that have given no sign of life for too long: they are stopped, or hang as a whole. Pure.

A run of this machine has a supervisor for that; on a cloud's node, or where the supervisor is stopped as well, nobody
else notices. In three steps, each a pass of its own, so that no training is ever run twice:

1. The silence is noted. A database that was away has silenced every run: those that live report within CONFIRMED. One
   that has not reported its start gets as long again as `max_silence`: it may have waited for its node until now.
2. The run's right to write is taken from it (its fence), and its cluster is asked to end it.
3. Once the cluster says that the run has ended, the attempt is lost, and the next one may begin.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mitorch_service.backends.base import RunStatus
from mitorch_service.controller.plan.actions import CancelRun, EndSilentRun, NoteSilence
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.status import ACTIVE
from mitorch_service.models.training import Attempt, TrainingRow

CONFIRMED = timedelta(minutes=5)
_LEAST = 600.0  # seconds: runs report every half minute, but wait for a database that is away


def watch_silence(
    now: datetime, training: TrainingRow, attempt: Attempt, run: RunStatus, cluster: Cluster | None
) -> NoteSilence | EndSilentRun | CancelRun | None:
    """Returns the next step with a run that its cluster believes to be running."""
    if training.status not in ACTIVE or run.state != RunState.RUNNING:
        return None
    if given_up(training, attempt):
        return CancelRun(training.id, attempt)
    if cluster is None or cluster.max_silence is None:
        return None
    limit = timedelta(seconds=max(cluster.max_silence, _LEAST))
    heard = training.last_sign_of_life()
    if heard is None:
        return _watch_start(now, training, attempt, limit)
    if now - heard < limit:
        return None
    if attempt.silent_at is None or attempt.silent_at < heard:
        return NoteSilence(training.id, attempt, heard)
    return EndSilentRun(training.id, attempt) if now - attempt.silent_at >= CONFIRMED else None


def _watch_start(
    now: datetime, training: TrainingRow, attempt: Attempt, limit: timedelta
) -> NoteSilence | EndSilentRun | None:
    """The next step with a run that has not reported its start."""
    if attempt.silent_at is not None:
        return EndSilentRun(training.id, attempt) if now - attempt.silent_at >= limit else None
    asked = attempt.submitted_at or attempt.queued_at
    return NoteSilence(training.id, attempt, None) if now - asked >= limit else None


def given_up(training: TrainingRow, attempt: Attempt) -> bool:
    """Whether the run may write no more, as it was silent for too long."""
    return attempt.silent_at is not None and training.fence == 0 and training.status in ACTIVE


def silence_reason(training: TrainingRow, attempt: Attempt) -> str:
    """Returns why the attempt of such a run is lost."""
    heard = training.last_sign_of_life()
    if heard is None:
        return f"it never reported its start (stopped or hung; max_silence of {attempt.cluster}) and was ended"
    since = f" after {heard:%Y-%m-%d %H:%M:%S} UTC"
    return f"it gave no sign of life{since} (stopped or hung; max_silence of {attempt.cluster}) and was ended"
