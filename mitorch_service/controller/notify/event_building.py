"""Makes events of what has ended or lasts: in words, and as facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.notification import Condition, Event, event_id
from mitorch_service.models.search.job import Job
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, TrainingRow, epochs_text
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.webhook_settings.webhook import EventKind

_JOB_KINDS = {
    JobStatus.COMPLETED: EventKind.JOB_COMPLETED,
    JobStatus.FAILED: EventKind.JOB_FAILED,
    JobStatus.CANCELED: EventKind.JOB_CANCELED,
}
_TRAINING_KINDS = {
    TrainingStatus.COMPLETED: EventKind.TRAINING_COMPLETED,
    TrainingStatus.FAILED: EventKind.TRAINING_FAILED,
    TrainingStatus.DIVERGED: EventKind.TRAINING_DIVERGED,
}
_MOST = 4000  # characters of a text
_TEXTS = {
    EventKind.TRAINING_COMPLETED: "completed",
    EventKind.TRAINING_FAILED: "failed",
    EventKind.TRAINING_LOST: "failed: its runs were lost too often",
    EventKind.TRAINING_DIVERGED: "diverged: a loss was not finite",
    EventKind.JOB_COMPLETED: "completed",
    EventKind.JOB_FAILED: "failed",
    EventKind.JOB_CANCELED: "canceled",
    EventKind.JOB_LIMIT: "has reached a limit",
    EventKind.CLUSTER_REFUSING: "refuses trainings",
    EventKind.CLUSTER_LEAK: "is busy without a training of ours",
}


def training_event(document: StoredDocument) -> Event | None:
    """Returns the event of a training's end; None for an end that is none, such as a cancellation."""
    try:
        row = Training.from_document({"config": {}, **document})
    except BrokenDocument as error:
        return _unreadable(document, EventKind.TRAINING_FAILED, "training", error)
    kind = _training_kind(row)
    if kind is None:
        return None
    at = row.status_times.get(row.status, row.created_at)
    key = f"{kind} {row.id} {row.attempt}"
    reason = None if row.error is None else row.error.message
    return _event(kind, at, key, f"training {row.id[:8]}", row.name, reason, _training_facts(row), row.belongs_to)


def job_event(document: StoredDocument) -> Event | None:
    """Returns the event of a job's end."""
    try:
        job = Job.from_document({"config": {}, **document})
    except BrokenDocument as error:
        return _unreadable(document, EventKind.JOB_FAILED, "job", error)
    kind = _JOB_KINDS.get(job.status)
    if kind is None:
        return None
    at = job.status_times.get(job.status, job.created_at)
    return _event(kind, at, f"{kind} {job.id}", f"job {job.id[:8]}", job.name, job.error or job.note, _job_facts(job))


def limit_event(job: Job, condition: Condition, note: str, cost: float | None) -> Event:
    """The event of a budget that is spent, or of a time that is over, while the job goes on."""
    facts = {**_job_facts(job), **({} if cost is None else {"cost": f"{cost:.2f}"})}
    kind = EventKind.JOB_LIMIT
    return _event(kind, _since(condition), _key(kind, condition), f"job {job.id[:8]}", job.name, note, facts)


def cluster_event(kind: EventKind, cluster: str, condition: Condition, reason: str) -> Event:
    """The event of a cluster that began to refuse trainings, or has nodes busy with nothing of ours."""
    facts = {"cluster": cluster, "since": f"{_since(condition):%Y-%m-%d %H:%M} UTC"}
    return _event(kind, _since(condition), _key(kind, condition), f"cluster {cluster}", None, reason, facts)


def sample_event(now: datetime, key: str) -> Event:
    """An event that says that a webhook works."""
    text = "notifications arrive here"
    return _event(EventKind.TEST, now, key, "MiTorch", None, None, {"sent by": "micontrol test-webhooks"}, text=text)


def _training_kind(row: TrainingRow) -> EventKind | None:
    attempt = row.current_attempt()
    if row.status == TrainingStatus.FAILED and attempt is not None and attempt.outcome == AttemptOutcome.LOST:
        return EventKind.TRAINING_LOST
    return _TRAINING_KINDS.get(row.status)


def _training_facts(row: TrainingRow) -> dict[str, str]:
    attempt, progress = row.current_attempt(), row.progress
    facts = {
        "training": row.id,
        "job": row.belongs_to,
        "dataset": str(row.dataset),
        "cluster": attempt and attempt.cluster,
        "attempt": str(row.attempt) if row.attempt else None,
        "epoch": progress and epochs_text(progress.epoch, progress.max_epochs),
        "steps": progress and progress.step and f"{progress.step}/{row.max_steps}",
        "result": row.evaluation and _numbers(row.evaluation),
        "run": attempt and attempt.url,
        "submitted by": row.submitted_by,
        "tags": " ".join(row.tags) or None,
    }
    return {name: value for name, value in facts.items() if value}


def _job_facts(job: Job) -> dict[str, str]:
    best = job.best
    facts = {
        "job": job.id,
        "objective": job.search.goal(),
        "trials": ", ".join(f"{number} {status}" for status, number in job.counts.items()) or None,
        "best": best and f"{best.value:.6g}",
        "best trial": best and str(best.number),
        "best training": best and best.training_id,
        "parameters": best and _parameters(best.parameters),
        "front": str(len(job.front)) if job.front else None,
        "submitted by": job.submitted_by,
        "tags": " ".join(job.tags) or None,
    }
    return {name: value for name, value in facts.items() if value}


def _event(
    kind: EventKind,
    at: datetime,
    key: str,
    subject: str,
    name: str | None,
    reason: str | None,
    facts: Mapping[str, str],
    of_search: str | None = None,
    text: str | None = None,
) -> Event:
    return Event(
        id=event_id(at, key),
        kind=kind,
        at=at,
        subject=subject,
        name=None if name is None else _safe(name),
        text=_safe(_TEXTS[kind] if text is None else text),
        reason=None if reason is None else _safe(reason),
        facts={label: _safe(value) for label, value in facts.items()},
        of_search=of_search is not None,
    )


def _safe(text: str) -> str:
    """The text without secrets, and no longer than a person reads: masked before it is cut."""
    masked = mask_secrets(text)
    return masked if len(masked) <= _MOST else masked[:_MOST] + "…"


def _unreadable(document: StoredDocument, kind: EventKind, what: str, error: BrokenDocument) -> Event | None:
    """The event of a document that a pass has set aside; None if its time cannot be read either."""
    times = document.get("status_times")
    at = times.get("failed") if isinstance(times, dict) else None
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if not isinstance(at, datetime):
        return None
    id = str(document["_id"])
    text = "failed: its document cannot be read"
    return _event(kind, at, f"{kind} {id}", f"{what} {id[:8]}", None, error.reason, {what: id}, text=text)


def _since(condition: Condition) -> datetime:
    if condition.since is None:
        raise ValueError(f"the condition {condition.id} does not hold")
    return condition.since


def _key(kind: EventKind, condition: Condition) -> str:
    return f"{kind} {condition.id} {condition.episode}"


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _parameters(values: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )
