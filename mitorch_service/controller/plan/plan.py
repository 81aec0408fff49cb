"""Plans one pass: a pure function from a snapshot to actions. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

from mitorch_service.backends.base import RunStatus
from mitorch_service.controller.plan.actions import (
    Action,
    AddRefit,
    AddTrials,
    CancelRun,
    CancelTraining,
    EndAttempt,
    Launch,
    Submit,
)
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.controller.plan.paused_trials import ResumeTrial
from mitorch_service.controller.plan.placement import Placer
from mitorch_service.controller.plan.plan_job import plan_job
from mitorch_service.controller.plan.silence import given_up, silence_reason, watch_silence
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.run_state import RunState
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import (
    MAX_LOST_ATTEMPTS,
    Attempt,
    TrainingRow,
    lost_too_often,
    run_name,
)

Guard = Callable[[str], AbstractContextManager[object]]  # its argument names the step that an exception ends


def plan(now: datetime, snapshot: Snapshot, guard: Guard = nullcontext) -> list[Action]:
    """Returns the actions of one pass, in the order in which they are applied. Each job and each training is planned
    under the `guard`, by which an exception can be kept from the others."""
    actions: list[Action] = []
    for state in snapshot.jobs:
        with guard(f"job {state.job.id}"):
            actions += plan_job(now, state, snapshot.queue)
    waiting = _waiting(snapshot.queue, actions)
    for training in snapshot.active:
        with guard(f"training {training.id}"):
            action = watch(now, training, snapshot)
            actions += [] if action is None else [action]
    with guard("the assignment of trainings"):
        actions += assign(now, snapshot, waiting, guard)
    return actions


def watch(now: datetime, training: TrainingRow, snapshot: Snapshot) -> Action | None:
    """Returns the action for a queued or running training that follows from the state of its run, if any."""
    attempt = training.current_attempt()
    if attempt is None:
        return None
    if attempt.cluster not in snapshot.configured:
        return _lost(training, attempt, f"its cluster {attempt.cluster} is no longer in MITORCH_CLUSTERS")
    if attempt.run_name not in snapshot.runs:
        return None  # the cluster did not answer: next pass
    run = snapshot.runs[attempt.run_name]
    if run is None:
        return _unknown_run(training, attempt)
    if run.state in (RunState.PENDING, RunState.RUNNING, RunState.UNKNOWN):
        if training.cancel_requested_at is not None:
            return CancelRun(training.id, attempt)
        return watch_silence(now, training, attempt, run, snapshot.facts.get(attempt.cluster))
    return _run_end(training, attempt, run)


def assign(
    now: datetime, snapshot: Snapshot, waiting: Sequence[TrainingRow], guard: Guard = nullcontext
) -> list[Action]:
    """Assigns new trainings by priority, then age, to the clusters' free nodes: see `placement`."""
    placer = open_placer(now, snapshot)
    at = to_utc_milliseconds(now)
    actions: list[Action] = []
    for row in in_order(waiting):
        if placer.full:
            break
        with guard(f"training {row.id}"):
            cluster = placer.place(row)
            if cluster is not None:
                attempt = _next_attempt(row, cluster, placer.price(cluster), at)
                actions.append(Launch(row.id, attempt, row.resources, row.belongs_to is not None))
    return actions


def in_order(waiting: Sequence[TrainingRow]) -> list[TrainingRow]:
    """Returns each training once, in the order in which they are served."""
    return sorted({row.id: row for row in waiting}.values(), key=lambda r: (r.priority, r.arrival, r.id))


def open_placer(now: datetime, snapshot: Snapshot) -> Placer:
    """Returns the placer with all nodes that are free before the first assignment of a pass."""
    backoff = ClusterBackoff(now, snapshot.queue, snapshot.active)
    free = free_nodes(snapshot)
    return Placer(snapshot.facts, snapshot.clusters, free, snapshot.hosts, backoff, snapshot.withheld)


def free_nodes(snapshot: Snapshot) -> dict[str, int]:
    """Returns the nodes of each cluster that no run holds, nor a claimed training whose run the cluster does not know.

    Never more than the cluster's total less all that was assigned to it: another pass may have launched runs since its
    capacity was read.
    """
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


def _waiting(queue: Sequence[TrainingRow], planned: Sequence[Action]) -> list[TrainingRow]:
    """The head of the queue as it is after these actions."""
    waiting = [*queue]
    canceled: set[str] = set()
    for action in planned:
        if isinstance(action, AddTrials):
            waiting += action.trainings
        elif isinstance(action, AddRefit):
            waiting.append(action.training)
        elif isinstance(action, ResumeTrial):
            waiting.append(action.row)
        elif isinstance(action, CancelTraining):
            canceled.add(action.training_id)
    return [row for row in waiting if row.id not in canceled]


def _next_attempt(row: TrainingRow, cluster: str, price: float, at: datetime) -> Attempt:
    number = row.attempt + 1
    nodes = 1 if row.resources is None else row.resources.nodes
    name = run_name(row.id, number)
    last = row.current_attempt()
    if last is not None and last.ended_at is not None:
        at = max(at, last.ended_at)  # which may have ended after this pass began
    return Attempt(number=number, cluster=cluster, run_name=name, queued_at=at, nodes=nodes, price=price)


def _unknown_run(training: TrainingRow, attempt: Attempt) -> Action:
    """The cluster does not know the run: it was never submitted, or it is lost."""
    if training.cancel_requested_at is not None:
        return _canceled(training, attempt, "canceled before it started")
    if attempt.submitted_at is None:
        return Submit(training.id, attempt, training.resources)
    return _lost(training, attempt, "its cluster does not know the run any more")


def _run_end(training: TrainingRow, attempt: Attempt, run: RunStatus) -> EndAttempt:
    """The run is over and its training still active: the run could not record its own end."""
    reason = run.reason or "it ended without writing a result"
    if training.cancel_requested_at is not None:
        return _canceled(training, attempt, reason)
    if given_up(training, attempt):
        return _lost(training, attempt, silence_reason(training, attempt))
    if run.state == RunState.KILLED or run.exit_code == EXIT_INFRASTRUCTURE:
        return _lost(training, attempt, reason)
    if run.state == RunState.SUCCEEDED:
        reason = "it ended with exit code 0, but without writing a result"
    retries = training.attempts_ended_as(AttemptOutcome.FAILED)
    status = TrainingStatus.NEW if retries < training.max_retries else TrainingStatus.FAILED
    return EndAttempt(training.id, attempt, AttemptOutcome.FAILED, status, reason)


def _lost(training: TrainingRow, attempt: Attempt, reason: str) -> EndAttempt:
    if training.cancel_requested_at is not None:
        return _canceled(training, attempt, reason)
    lost = training.attempts_ended_as(AttemptOutcome.LOST) + 1
    if lost < MAX_LOST_ATTEMPTS:
        return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.NEW, reason)
    return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.FAILED, lost_too_often(lost, reason))


def _canceled(training: TrainingRow, attempt: Attempt, reason: str) -> EndAttempt:
    return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
