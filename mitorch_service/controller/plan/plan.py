"""One pass as a pure function: what was seen goes in, what is to be done comes out. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mitorch_service.backends.base import RunStatus
from mitorch_service.controller.plan.actions import (
    Action,
    AddRefit,
    AddTrials,
    CancelRun,
    CancelTraining,
    EndAttempt,
    ForgetPaused,
    Launch,
    Submit,
)
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.controller.plan.paused_trials import ResumeTrial
from mitorch_service.controller.plan.placement import Placer
from mitorch_service.controller.plan.plan_job import merged_first, plan_job, settle
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.run_state import RunState
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import (
    MAX_LOST_ATTEMPTS,
    Attempt,
    TrainingRow,
    run_name,
)


def plan(now: datetime, snapshot: Snapshot) -> list[Action]:
    """The actions of one pass, in the order in which they are to be applied."""
    actions: list[Action] = []
    trials: list[TrainingRow] = []
    canceled: set[str] = set()
    for state in snapshot.jobs:
        stale = () if state.paused_trials is None else state.paused_trials.stale
        actions += map(ForgetPaused, stale)
        for planned in [*settle(now, state, snapshot.queue), *merged_first(state, plan_job(now, state))]:
            actions.append(planned)
            if isinstance(planned, AddTrials):
                trials += planned.trainings
            elif isinstance(planned, AddRefit):
                trials.append(planned.training)
            elif isinstance(planned, ResumeTrial):
                trials.append(planned.row)
            elif isinstance(planned, CancelTraining):
                canceled.add(planned.training_id)
    for training in snapshot.active:
        action = watch(training, snapshot)
        if action is not None:
            actions.append(action)
    actions += assign(now, snapshot, [row for row in [*snapshot.queue, *trials] if row.id not in canceled])
    return actions


def watch(training: TrainingRow, snapshot: Snapshot) -> Action | None:
    """What to do about a queued or running training, given how its run looks from outside."""
    attempt = training.current_attempt()
    if attempt is None:
        return None
    if attempt.cluster not in snapshot.configured:
        reason = f"its cluster {attempt.cluster} is no longer in MITORCH_CLUSTERS"
        return _lost(training, attempt, reason)
    if attempt.run_name not in snapshot.runs:
        return None  # the cluster did not answer: next pass
    run = snapshot.runs[attempt.run_name]
    if run is None:
        if training.cancel_requested_at is not None:
            return EndAttempt(
                training.id,
                attempt,
                AttemptOutcome.CANCELED,
                TrainingStatus.CANCELED,
                "canceled before it started",
            )
        if attempt.submitted_at is None:
            return Submit(training.id, attempt, training.resources)
        return _lost(training, attempt, "its cluster does not know the run any more")
    if run.state in (RunState.PENDING, RunState.RUNNING, RunState.UNKNOWN):
        return None if training.cancel_requested_at is None else CancelRun(training.id, attempt)
    return _attempt_end(training, attempt, run)


def assign(now: datetime, snapshot: Snapshot, waiting: Sequence[TrainingRow]) -> list[Action]:
    """New trainings by priority, then age, to the clusters' free nodes: see `placement`."""
    placer = open_placer(now, snapshot)
    at = to_utc_milliseconds(now)
    actions: list[Action] = []
    for row in in_order(waiting):
        if placer.full:
            break
        cluster = placer.place(row)
        if cluster is not None:
            actions.append(Launch(row.id, _next_attempt(row, cluster, placer.price(cluster), at), row.resources))
    return actions


def in_order(waiting: Sequence[TrainingRow]) -> list[TrainingRow]:
    """Each once, in the order in which they are served."""
    return sorted({row.id: row for row in waiting}.values(), key=lambda r: (r.priority, r.arrival, r.id))


def open_placer(now: datetime, snapshot: Snapshot) -> Placer:
    """What there is to be given away at the beginning of an assignment."""
    backoff = ClusterBackoff(now, snapshot.queue, snapshot.active)
    return Placer(snapshot.facts, snapshot.clusters, free_nodes(snapshot), snapshot.hosts, backoff)


def _next_attempt(row: TrainingRow, cluster: str, price: float, at: datetime) -> Attempt:
    number = row.attempt + 1
    nodes = 1 if row.resources is None else row.resources.nodes
    name = run_name(row.id, number)
    return Attempt(number=number, cluster=cluster, run_name=name, queued_at=at, nodes=nodes, price=price)


def free_nodes(snapshot: Snapshot) -> dict[str, int]:
    """Nodes that neither a run holds nor a training was claimed for that its cluster does not know yet. Never more than
    the cluster has beside all that was assigned to it: another pass may have launched since its capacity was asked."""
    free = {name: capacity.free for name, capacity in snapshot.clusters.items()}
    unassigned = {name: capacity.total for name, capacity in snapshot.clusters.items()}
    for training in snapshot.active:
        attempt = training.current_attempt()
        if attempt is None or attempt.cluster not in free:
            continue
        unassigned[attempt.cluster] -= attempt.nodes
        if snapshot.runs.get(attempt.run_name) is None:
            free[attempt.cluster] -= attempt.nodes
    return {name: min(nodes, unassigned[name]) for name, nodes in free.items()}


def _attempt_end(training: TrainingRow, attempt: Attempt, run: RunStatus) -> Action:
    """The run is over and its training still active: the run could not write its own end."""
    reason = run.reason or "it ended without writing a result"
    if training.cancel_requested_at is not None:
        return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
    if run.state == RunState.KILLED or run.exit_code == EXIT_INFRASTRUCTURE:
        return _lost(training, attempt, reason)
    if run.state == RunState.SUCCEEDED:
        reason = "it ended with exit code 0, but without writing a result"
    retries = training.attempts_ended_as(AttemptOutcome.FAILED)
    status = TrainingStatus.NEW if retries < training.max_retries else TrainingStatus.FAILED
    return EndAttempt(training.id, attempt, AttemptOutcome.FAILED, status, reason)


def _lost(training: TrainingRow, attempt: Attempt, reason: str) -> EndAttempt:
    lost = training.attempts_ended_as(AttemptOutcome.LOST) + 1
    if training.cancel_requested_at is not None:
        return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
    if lost >= MAX_LOST_ATTEMPTS:
        reason = f"lost {lost} times, which is the limit; the last time: {reason}"
        return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.FAILED, reason)
    return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.NEW, reason)
