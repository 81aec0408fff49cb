"""Explains why a training or job waits, or how it ended, with the functions that plan a pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mitorch_service.controller.loop import Controller
from mitorch_service.controller.plan.placing.order_of_service import OrderOfService, open_shares
from mitorch_service.controller.plan.plan import open_placer
from mitorch_service.controller.plan.snapshot import JobState, Snapshot
from mitorch_service.insights.lookup import look_up_one
from mitorch_service.insights.waiting.queue_plan import HEAD
from mitorch_service.insights.waiting.served_next import read_served_next
from mitorch_service.models.search.job import refit_id
from mitorch_service.models.status import ACTIVE, ENDED, OPEN, TrainingStatus
from mitorch_service.models.training import Attempt, Training, TrainingRow, done_text, epochs_text
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind
from mitorch_service.wording.counted import counted


@dataclass(frozen=True)
class Why:
    """The reasons for the state of a training or job."""

    id: str
    status: str
    reasons: list[str]
    clusters: dict[str, str] = field(default_factory=dict)  # cluster -> why the training cannot start there now


def explain(store: Store, controller: Controller, id: str, now: datetime) -> tuple[Kind, Why]:
    """Explains the training or job with this id, the beginning of it, or this name. Raises NotFound, AmbiguousId,
    AmbiguousName."""
    kind, whole = look_up_one(store, id)
    explain_it = _explain_training if kind == "training" else _explain_job
    return kind, explain_it(store, controller, whole, now)


def _explain_training(store: Store, controller: Controller, id: str, now: datetime) -> Why:
    training = store.trainings.get_training(id)
    attempt = training.current_attempt()
    if training.status in ACTIVE and attempt is not None:  # only its own cluster needs to be asked
        run = controller.describe_run(attempt)
        return why_training(now, training, Snapshot(runs={attempt.run_name: run}), 0)
    if training.status != TrainingStatus.NEW:
        return why_training(now, training, Snapshot(), 0)
    snapshot = controller.observe(now)
    served = None
    if snapshot.policy.fair_share is not None:
        served = read_served_next(store, snapshot.policy, now, snapshot.queue, snapshot.active, HEAD).queue
    return why_training(now, training, snapshot, store.queue.count_ahead(training), served)


def _explain_job(store: Store, controller: Controller, id: str, now: datetime) -> Why:
    for state in controller.observe(now).jobs:
        if state.job.id == id:
            return why_job(state)
    job = store.jobs.get_job(id)
    ended = f"it has ended: {job.status}" + "".join(f"; {text}" for text in (job.error, job.note) if text)
    return Why(job.id, job.status, [ended])


def why_training(
    now: datetime, training: Training, snapshot: Snapshot, ahead: int, served: Sequence[TrainingRow] | None = None
) -> Why:
    """Explains a training by what a pass sees; `ahead`: how many are before it by priority and age; `served`: the
    first ones to be served, where shares are counted."""
    if training.status == TrainingStatus.NEW:
        return _why_waiting(now, training, snapshot, _place(training, ahead, served))
    if training.status in ENDED:
        return Why(training.id, training.status, [_ending(training)])
    return Why(training.id, training.status, _activity(training, snapshot))


def why_job(state: JobState) -> Why:
    """Explains why no more trials of an active job are created."""
    job = state.job
    search = job.search
    open_count = sum(state.counts.get(status, 0) for status in OPEN)
    created = 0 if state.last_number is None else state.last_number + 1
    reasons = [f"{created} of {counted(search.max_trials, 'trial')} created, {open_count} of them not ended"]
    if job.cancel_requested_at is not None:
        reasons.append("it is being canceled: it ends when the last of its trials has")
    elif state.refit is not None:
        reasons.append(f"it ends with its final training {refit_id(job.id)} ({state.refit.status})")
    elif state.spent:
        reasons.append(f"its budget (search.max_cost) of {search.max_cost:.2f} is spent: {state.cost:.2f} so far")
    elif created >= search.max_trials:
        reasons.append("all are created: see miquery --why of one that waits")
    elif search.max_concurrent is not None and open_count >= search.max_concurrent:
        reasons.append(f"search.max_concurrent allows {search.max_concurrent} at a time: one must end first")
    else:
        reasons.append("the next pass of the controller creates more: run micontrol")
    return Why(job.id, job.status, reasons)


def _place(training: Training, ahead: int, served: Sequence[TrainingRow] | None) -> str:
    by_age = _ordinal(ahead + 1)
    if served is None:
        return f"{by_age} in the queue (priority {training.priority})"
    place = next((number for number, row in enumerate(served, 1) if row.id == training.id), None)
    shown = f"not among the first {len(served)} to be served" if place is None else f"{_ordinal(place)} to be served"
    return f"{shown} (priority {training.priority}; {by_age} by priority and age)"


def _why_waiting(now: datetime, training: Training, snapshot: Snapshot, place: str) -> Why:
    reasons = [place]
    last = training.current_attempt()
    if last is not None:
        reasons.append(f"its attempt {last.number} ended: {last.reason or last.outcome}; it is tried again")
    elif any(state.spent for state in snapshot.jobs if state.job.id == training.job_id):
        reasons.append("the budget of its job (search.max_cost) is spent: the next pass cancels it")
        return Why(training.id, training.status, reasons)
    placer, shares = open_placer(now, snapshot), open_shares(now, snapshot)
    if shares is not None:
        reasons.append(shares.text(training, snapshot.queue))
    head = OrderOfService(snapshot.queue, shares)
    seen = any(row.id == training.id for row in snapshot.queue)
    for row in head:
        if row.id == training.id:
            break
        if placer.place(row) is not None:
            head.start(row)
    ineligible = placer.explain(training)
    if not seen:
        reasons.append(f"a pass looks at the first {len(snapshot.queue)} only, which are before it")
    elif not ineligible:
        reasons.append("nothing: the next pass of the controller starts it; run micontrol")
    return Why(training.id, training.status, reasons, ineligible)


def _activity(training: Training, snapshot: Snapshot) -> list[str]:
    attempt = training.current_attempt()
    if attempt is None:
        return ["its document has no attempt: the next pass sets it aside"]
    asked = ["it was asked to stop"] if training.cancel_requested_at is not None else []
    asked += _told_by_cluster(attempt, snapshot)
    where = f"{attempt.cluster} ({attempt.url})" if attempt.url else attempt.cluster
    if training.status == TrainingStatus.RUNNING:
        progress = training.progress
        epochs = f", {epochs_text(progress.epoch, progress.max_epochs)} epochs done" if progress else ""
        epochs = epochs if training.max_steps is None else f", {done_text(training)} done"
        since = attempt.started_at or attempt.queued_at
        return [f"it has been running on {where} since {since:%Y-%m-%d %H:%M:%S} UTC{epochs}", *asked]
    if attempt.submitted_at is None:
        return [f"it was assigned to {where}, which has not accepted it yet: the next pass asks again", *asked]
    since = attempt.submitted_at
    return [
        f"{where} has had its run since {since:%Y-%m-%d %H:%M:%S} UTC, but it has not reported its start yet",
        *asked,
    ]


def _told_by_cluster(attempt: Attempt, snapshot: Snapshot) -> list[str]:
    """Returns the cluster's own words for the state of the run, if it has any."""
    run = snapshot.runs.get(attempt.run_name)
    missing = attempt.missing_at
    if run is None and missing is not None:
        return [f"{attempt.cluster} does not know its run since {missing:%Y-%m-%d %H:%M:%S} UTC"]
    if run is None or run.word is None:
        return []
    since = "" if run.since is None else f" since {run.since:%Y-%m-%d %H:%M:%S} UTC"
    return [f"{attempt.cluster} says of its run: {run.word}{since}"]


def _ending(training: Training) -> str:
    at = training.status_times.get(training.status)
    when = "" if at is None else f" on {at:%Y-%m-%d %H:%M:%S} UTC"
    if training.error is not None:
        return f"it {_HOW[training.status]}{when}: {training.error.message}"
    last = training.current_attempt()
    why = f": {last.reason}" if last is not None and last.reason else ""
    return f"it {_HOW[training.status]}{when}{why}"


_HOW = {
    TrainingStatus.COMPLETED: "was completed",
    TrainingStatus.FAILED: "failed",
    TrainingStatus.CANCELED: "was canceled",
    TrainingStatus.PRUNED: "was stopped early by its search",
    TrainingStatus.PAUSED: "was paused by its search",
    TrainingStatus.DIVERGED: "diverged",
}


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
