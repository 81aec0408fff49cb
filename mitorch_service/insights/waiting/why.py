"""Explains why a training or job waits, or how it ended, with the functions that plan a pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from mitorch_service.controller.loop import Controller
from mitorch_service.controller.plan.plan import in_order, open_placer
from mitorch_service.controller.plan.snapshot import JobState, Snapshot
from mitorch_service.insights.lookup import look_up_one
from mitorch_service.models.search.job import refit_id
from mitorch_service.models.status import ENDED, OPEN, TrainingStatus
from mitorch_service.models.training import Training, epochs_text
from mitorch_service.stores.base import Store
from mitorch_service.stores.trainings import Kind
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
    if training.status != TrainingStatus.NEW:  # no cluster needs to be asked
        return why_training(now, training, Snapshot(), 0)
    return why_training(now, training, controller.observe(now), store.queue.count_ahead(training))


def _explain_job(store: Store, controller: Controller, id: str, now: datetime) -> Why:
    for state in controller.observe(now).jobs:
        if state.job.id == id:
            return why_job(state)
    job = store.jobs.get_job(id)
    ended = f"it has ended: {job.status}" + "".join(f"; {text}" for text in (job.error, job.note) if text)
    return Why(job.id, job.status, [ended])


def why_training(now: datetime, training: Training, snapshot: Snapshot, ahead: int) -> Why:
    """Explains a training by what a pass sees; `ahead`: how many are before it in the queue."""
    if training.status == TrainingStatus.NEW:
        return _why_waiting(now, training, snapshot, ahead)
    if training.status in ENDED:
        return Why(training.id, training.status, [_ending(training)])
    return Why(training.id, training.status, _activity(training))


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


def _why_waiting(now: datetime, training: Training, snapshot: Snapshot, ahead: int) -> Why:
    reasons = [f"{_ordinal(ahead + 1)} in the queue (priority {training.priority})"]
    last = training.current_attempt()
    if last is not None:
        reasons.append(f"its attempt {last.number} ended: {last.reason or last.outcome}; it is tried again")
    elif any(state.spent for state in snapshot.jobs if state.job.id == training.job_id):
        reasons.append("the budget of its job (search.max_cost) is spent: the next pass cancels it")
        return Why(training.id, training.status, reasons)
    placer = open_placer(now, snapshot)
    head = in_order(snapshot.queue)
    seen = any(row.id == training.id for row in head)
    for row in head:
        if row.id == training.id:
            break
        placer.place(row)
    ineligible = placer.explain(training)
    if not seen:
        reasons.append(f"a pass looks at the first {len(head)} only, which are before it")
    elif not ineligible:
        reasons.append("nothing: the next pass of the controller starts it; run micontrol")
    return Why(training.id, training.status, reasons, ineligible)


def _activity(training: Training) -> list[str]:
    attempt = training.current_attempt()
    if attempt is None:
        return ["its document has no attempt: the next pass sets it aside"]
    asked = ["it was asked to stop"] if training.cancel_requested_at is not None else []
    where = f"{attempt.cluster} ({attempt.url})" if attempt.url else attempt.cluster
    if training.status == TrainingStatus.RUNNING:
        progress = training.progress
        epochs = f", {epochs_text(progress.epoch, progress.max_epochs)} epochs done" if progress else ""
        since = attempt.started_at or attempt.queued_at
        return [f"it has been running on {where} since {since:%Y-%m-%d %H:%M:%S} UTC{epochs}", *asked]
    if attempt.submitted_at is None:
        return [f"it was assigned to {where}, which has not accepted it yet: the next pass asks again", *asked]
    since = attempt.submitted_at
    return [
        f"{where} has had its run since {since:%Y-%m-%d %H:%M:%S} UTC, but it has not reported its start yet",
        *asked,
    ]


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
