"""Plans one pass: a pure function from a snapshot to actions. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta

from mitorch_service.backends.base import RunStatus
from mitorch_service.controller.plan.actions import (
    Action,
    AddRefit,
    AddTrials,
    CancelLate,
    CancelLeak,
    CancelRun,
    CancelTraining,
    EndAttempt,
    Launch,
    NoteFound,
    NoteMissing,
    Recount,
    Submit,
)
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.controller.plan.leaked_runs import leaks_to_cancel
from mitorch_service.controller.plan.placing.backfill import Backfill
from mitorch_service.controller.plan.placing.order_of_service import OrderOfService, open_shares
from mitorch_service.controller.plan.placing.placement import Placer
from mitorch_service.controller.plan.search.paused_trials import ResumeTrial
from mitorch_service.controller.plan.search.plan_job import plan_job
from mitorch_service.controller.plan.silence import given_up, silence_reason, watch_silence
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.attempts.attempt_budgets import after_block, after_failure, after_loss
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, TrainingRow, run_name

_ALIVE = timedelta(minutes=5)  # since the last sign of life of a run, which come every half minute
_MISSED_TWICE = timedelta(minutes=1)  # between two look-ups, in two passes, that both did not find a run

Guard = Callable[[str], AbstractContextManager[object]]  # its argument names the step that an exception ends


def plan(now: datetime, snapshot: Snapshot, guard: Guard = nullcontext) -> list[Action]:
    """Returns the actions of one pass, in the order in which they are applied. Each job and each training is planned
    under the `guard`, by which an exception can be kept from the others."""
    actions: list[Action] = []
    for state in snapshot.jobs:
        with guard(f"job {state.job.id}"):
            actions += plan_job(now, state, snapshot.queue)
    actions += (CancelLate(row.id, row.belongs_to or "") for row in snapshot.queue if row.id in snapshot.late)
    actions += map(Recount, snapshot.recounts)
    waiting = _waiting(snapshot.queue, actions)
    for training in snapshot.active:
        with guard(f"training {training.id}"):
            action = watch(now, training, snapshot)
            actions += [] if action is None else [action]
    actions += map(CancelLeak, leaks_to_cancel(now, snapshot.leaks, snapshot.facts))
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
        return _unknown_run(now, training, attempt)
    if run.state in (RunState.PENDING, RunState.RUNNING, RunState.UNKNOWN):
        if training.cancel_requested_at is not None:
            return CancelRun(training.id, attempt)
        if attempt.submitted_at is None or attempt.missing_at is not None or (run.url and not attempt.url):
            return NoteFound(training.id, attempt, run.url)
        return watch_silence(now, training, attempt, run, snapshot.facts.get(attempt.cluster))
    cluster = snapshot.facts.get(attempt.cluster)
    return _run_end(training, attempt, run, cluster is not None and cluster.low_priority)


def assign(
    now: datetime, snapshot: Snapshot, waiting: Sequence[TrainingRow], guard: Guard = nullcontext
) -> list[Action]:
    """Assigns new trainings, in the order of service, to the clusters' free nodes: see `placement`."""
    placer = open_placer(now, snapshot)
    at = to_utc_milliseconds(now)
    actions: list[Action] = []
    order = OrderOfService(waiting, open_shares(now, snapshot))
    for row in order:
        if placer.full:
            break
        with guard(f"training {row.id}"):
            cluster = placer.place(row)
            if cluster is not None:
                order.start(row)
                attempt = _next_attempt(row, cluster, placer.price(cluster), at, placer.behind(row))
                replaces = _replaced(row, snapshot)
                actions.append(Launch(row.id, attempt, row.resources, row.belongs_to is not None, replaces))
    return actions


def open_placer(now: datetime, snapshot: Snapshot) -> Placer:
    """Returns the placer with all nodes that are free before the first assignment of a pass."""
    backoff = ClusterBackoff(now, snapshot.queue, snapshot.active)
    free, backfill = free_nodes(snapshot), None
    if snapshot.policy.backfill and snapshot.bounds is not None:
        backfill = Backfill(now, snapshot.bounds, snapshot.active)
    return Placer(snapshot.facts, snapshot.clusters, free, snapshot.hosts, backoff, snapshot.withheld, backfill)


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
        elif isinstance(action, CancelTraining | CancelLate):
            canceled.add(action.training_id)
    return [row for row in waiting if row.id not in canceled]


def _next_attempt(row: TrainingRow, cluster: str, price: float, at: datetime, behind: str | None) -> Attempt:
    number = row.attempt + 1
    nodes = 1 if row.resources is None else row.resources.nodes
    name = run_name(row.id, number)
    last = row.current_attempt()
    if last is not None and last.ended_at is not None:
        at = max(at, last.ended_at)  # which may have ended after this pass began
    return Attempt(number=number, cluster=cluster, run_name=name, queued_at=at, nodes=nodes, price=price, behind=behind)


def _replaced(row: TrainingRow, snapshot: Snapshot) -> Attempt | None:
    """The last attempt, if nobody saw the end of its run, which then would go on in vain."""
    last = row.current_attempt()
    if last is None or last.cluster not in snapshot.configured:
        return None
    return last if last.missing_at is not None or last.outcome == AttemptOutcome.REFUSED else None


def _unknown_run(now: datetime, training: TrainingRow, attempt: Attempt) -> Action | None:
    """The cluster does not know the run: it was never submitted, or it is lost. A cluster's list may lag behind or be
    out of order: a run that still reports to the database is not lost, nor is one that was missed only once."""
    if training.cancel_requested_at is not None:
        return _canceled(training, attempt, "canceled before it started")
    if attempt.submitted_at is None:
        return Submit(training.id, attempt, training.resources)
    heard = training.last_sign_of_life()
    if heard is not None and now - heard < _ALIVE:
        return None
    if attempt.missing_at is None:
        return NoteMissing(training.id, attempt)
    if now - attempt.missing_at < _MISSED_TWICE:
        return None
    return _lost(training, attempt, "its cluster does not know the run any more")


def _run_end(training: TrainingRow, attempt: Attempt, run: RunStatus, low_priority: bool) -> EndAttempt:
    """The run is over and its training still active: the run could not record its own end.

    Processes record every end of their training, a preemption included. So one that says nothing was killed with its
    machine, whatever words the cluster has for it; a certain exit code tells otherwise."""
    reason = run.reason or "it ended without writing a result"
    if training.cancel_requested_at is not None:
        return _canceled(training, attempt, reason)
    if given_up(training, attempt):
        return _lost(training, attempt, silence_reason(training, attempt))
    if run.canceled:
        return _canceled(training, attempt, reason)
    if not attempt.has_begun and (run.guessed or run.state != RunState.KILLED):
        return _never_began(training, attempt, run)
    if run.state == RunState.KILLED or run.guessed or run.exit_code in (None, EXIT_INFRASTRUCTURE):
        return _lost(training, attempt, reason, run.preempted or low_priority, run.timed_out)
    if run.state == RunState.SUCCEEDED:
        reason = "it ended with exit code 0, but without writing a result"
    return EndAttempt(training.id, attempt, AttemptOutcome.FAILED, after_failure(training), reason)


def _never_began(training: TrainingRow, attempt: Attempt, run: RunStatus) -> EndAttempt:
    """The cluster could not start our process (an image that cannot be built, a quota, a database that its nodes cannot
    reach), which is no fault of the training."""
    told = run.message or run.reason or "the cluster gives no reason"
    reason = f"its run ended before its process could report itself: {told}"
    status = after_block(training)
    outcome = AttemptOutcome.BLOCKED if status == TrainingStatus.NEW else AttemptOutcome.FAILED
    return EndAttempt(training.id, attempt, outcome, status, reason)


def _lost(
    training: TrainingRow, attempt: Attempt, reason: str, preempted: bool = False, timed_out: bool = False
) -> EndAttempt:
    if training.cancel_requested_at is not None:
        return _canceled(training, attempt, reason)
    status, reason = after_loss(training, reason, preempted, timed_out)
    return EndAttempt(training.id, attempt, AttemptOutcome.LOST, status, reason, preempted, timed_out)


def _canceled(training: TrainingRow, attempt: Attempt, reason: str) -> EndAttempt:
    return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
