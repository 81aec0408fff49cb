"""Cancels, retries, re-prioritises and deletes a training, or a job with all its trials."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.controller.observe.refit import read_refit
from mitorch_service.errors import BackendError, BrokenDocument, NewerDocument, NotAllowed, NotFound
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.status import ACTIVE, ACTIVE_JOBS, ENDED, RETRYABLE, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.operations.repair import damage_of, delete_damaged
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind, TrainingFilter

_SOON = timedelta(minutes=1)  # when a trial that is about to be retried is surely open


@dataclass(frozen=True)
class Change:
    """A training or job that was changed."""

    kind: Kind
    id: str
    trials: int = 0  # of a job: how many were changed with it
    is_final: bool = True  # False: a canceled training's run must end first


def cancel(store: Store, backends: Mapping[str, Backend], kind: Kind, id: str, now: datetime) -> Change:
    """Cancels a training or job. Raises NotFound, NotAllowed."""
    if kind == "job":
        return Change(kind, id, cancel_job(store, backends, id, now), is_final=False)
    row = cancel_training(store, backends, id, now)
    return Change(kind, id, is_final=row.status == TrainingStatus.CANCELED)


def retry(store: Store, kind: Kind, id: str, now: datetime) -> Change:
    """Queues an ended training, or the failed trials of an active job, again. Raises NotFound, NotAllowed."""
    if kind == "job":
        return Change(kind, id, retry_job(store, id, now))
    retry_training(store, id, now)
    return Change(kind, id)


def prioritise(store: Store, kind: Kind, id: str, priority: int) -> Change:
    """Changes the priority of a training, or of a job and its open trials. Raises NotFound, NotAllowed."""
    if kind == "job":
        return Change(kind, id, prioritise_job(store, id, priority))
    store.queue.set_priority(id, priority)
    return Change(kind, id)


def delete(store: Store, artifacts: ArtifactStore, kind: Kind, id: str) -> Change:
    """Deletes an ended training or job with everything that belongs to it, or a document that cannot be read. Raises
    NotFound, NotAllowed."""
    found = store.damaged.find(id)
    if damage_of(found) is not None:
        removed = _delete_trials(store, artifacts, id) if kind == "job" else 0
        delete_damaged(store, artifacts, found)
        return Change(kind, id, removed)
    if kind == "job":
        return Change(kind, id, delete_job(store, artifacts, id))
    delete_training(store, artifacts, id)
    return Change(kind, id)


def cancel_training(store: Store, backends: Mapping[str, Backend], training_id: str, now: datetime) -> TrainingRow:
    """Cancels a new training in the store, and an active one through its cluster as well; if the cluster does not
    answer, the next pass repeats the request. Raises NotFound, NotAllowed."""
    row = store.queue.request_cancel(training_id, now)
    attempt = row.current_attempt()
    if row.status in ACTIVE and attempt is not None and attempt.cluster in backends:
        try:
            backends[attempt.cluster].cancel(attempt.run_name)
        except BackendError:
            return row  # the request is recorded: every pass repeats it until the run has ended
    return row


def cancel_job(store: Store, backends: Mapping[str, Backend], job_id: str, now: datetime) -> int:
    """Stops the creation of trials and cancels those that have not ended; returns how many. Raises NotFound,
    NotAllowed."""
    store.jobs.request_job_cancel(job_id, now)
    canceled = 0
    for row in _open_trainings(store, job_id):
        try:
            cancel_training(store, backends, row.id, now)
            canceled += 1
        except NotAllowed:
            continue  # it ended meanwhile
    return canceled


def retry_training(store: Store, training_id: str, now: datetime) -> None:
    """Queues an ended training again. A trial that its search has paused then runs to its end, and so does any trial
    that runs in parts once its search has ended. Raises NotFound, NotAllowed."""
    training = store.trainings.get_training(training_id)
    pausing = training.trial is not None and training.trial.pause_at is not None
    search = _active_search(store, training) if pausing else None
    if search is not None and search.algorithm == "pbt":
        remedy = "Its job resumes or replaces it once all members have reached the same epoch."
        raise NotAllowed("training", training_id, "a member of a population that is under way", "retried", remedy)
    if training.job_id is not None and training.status in RETRYABLE and training.imported_from is None:
        store.recounts.ask(training.job_id, now + _SOON)  # if its search has ended: an active one is counted anyway
    store.queue.retry_training(training_id, now, to_its_end=pausing and (search is None or training.is_paused()))


def _active_search(store: Store, training: TrainingRow) -> SearchConfig | None:
    """The search of the training's job; None if the job has ended."""
    return next((job.search for job in store.jobs.active_jobs().items if job.id == training.job_id), None)


def retry_job(store: Store, job_id: str, now: datetime) -> int:
    """Queues all ended trials again that are not completed, nor only paused; returns how many. Raises NotFound;
    NotAllowed when the job itself has ended, or is a population, which does so itself."""
    job = store.jobs.get_job(job_id)
    if job.status not in ACTIVE_JOBS:
        remedy = "Submit it again, or retry single trials."
        raise NotAllowed("job", job_id, job.status, "retried", remedy)
    if job.search.algorithm == "pbt":
        raise NotAllowed("job", job_id, "a population", "retried", "It replaces lost members itself.")
    retried = 0
    for status in RETRYABLE:
        for row in list(trials(store, job_id, status)):
            if row.is_paused():
                continue  # its search decides when it resumes
            try:
                store.queue.retry_training(row.id, now)
                retried += 1
            except NotAllowed:
                continue  # it was retried meanwhile, or too often
    return retried


def prioritise_job(store: Store, job_id: str, priority: int) -> int:
    """Sets the priority of the job and of its trials that have not ended; returns how many these are."""
    store.jobs.set_job_priority(job_id, priority)
    changed = 0
    for row in _open_trainings(store, job_id):
        try:
            store.queue.set_priority(row.id, priority)
            changed += 1
        except NotAllowed:
            continue  # it ended meanwhile
    return changed


def delete_training(store: Store, artifacts: ArtifactStore, training_id: str) -> None:
    """Deletes document, results and files of an ended training. Raises NotFound; NotAllowed while it has not ended, or
    is a trial of an active job (which would create it again)."""
    job_id = store.trainings.get_training(training_id).belongs_to
    if job_id is not None and _is_active(store, job_id):
        remedy = f"Cancel job {job_id} first."
        raise NotAllowed("training", training_id, "a trial of an active job", "deleted", remedy)
    store.queue.delete_training(training_id)
    artifacts.delete(f"{training_id}/")


def _is_active(store: Store, job_id: str) -> bool:
    try:
        return store.jobs.get_job(job_id).status in ACTIVE_JOBS
    except NewerDocument:
        raise
    except (NotFound, BrokenDocument):
        return False


def delete_job(store: Store, artifacts: ArtifactStore, job_id: str) -> int:
    """Deletes an ended job with all its trials; returns how many trials. Raises NotFound, NotAllowed."""
    job = store.jobs.get_job(job_id)
    if job.status in ACTIVE_JOBS:
        raise NotAllowed("job", job_id, job.status, "deleted", "Cancel it first.")
    refit = _refit(store, job)
    still = store.jobs.open_trials(job_id, limit=1).items or (refit is not None and refit.status not in ENDED)
    if still:  # a single trial that was retried after the job's end
        raise NotAllowed("job", job_id, f"{job.status}, but not all its trials", "deleted", "Cancel these first.")
    removed = _delete_trials(store, artifacts, job_id)
    if refit is not None:
        store.queue.delete_training(refit.id)
        artifacts.delete(f"{refit.id}/")
    store.jobs.delete_job(job_id)
    artifacts.delete(f"{job_id}/")
    return removed


def _delete_trials(store: Store, artifacts: ArtifactStore, job_id: str) -> int:
    """Deletes the trials of a job, readable or not; returns how many. Raises NewerDocument, and deletes none, if
    a newer version wrote one."""
    rows = list(store.trainings.iterate_trainings(TrainingFilter(job_id=job_id), sys.maxsize))
    for newer in (row for row in rows if isinstance(row, NewerDocument)):
        raise newer
    for row in rows:
        if isinstance(row, BrokenDocument):
            store.damaged.remove("training", row.key)
        else:
            store.queue.delete_training(row.id)
        artifacts.delete(f"{row.key if isinstance(row, BrokenDocument) else row.id}/")
    return len(rows)


def _open_trainings(store: Store, job_id: str) -> Iterator[TrainingRow]:
    """The trials that have not ended, and the final training."""
    yield from store.jobs.open_trials(job_id, limit=100_000).items
    refit = _refit(store, store.jobs.get_job(job_id))
    if refit is not None and refit.status not in ENDED:
        yield refit


def _refit(store: Store, job: Job) -> TrainingRow | None:
    """The final training of a job, if there is one."""
    state = read_refit(store, job)
    return None if state is None else state.training


def trials(store: Store, job_id: str, status: TrainingStatus | None = None) -> Iterator[TrainingRow]:
    """All trials of a job that can be read, page by page."""
    for row in store.trainings.iterate_trainings(TrainingFilter(status, job_id), sys.maxsize):
        if not isinstance(row, BrokenDocument):
            yield row


def trainings_of(store: Store, job_id: str) -> list[TrainingRow]:
    """All trials of a job, and its final training. Raises NotFound."""
    refit = _refit(store, store.jobs.get_job(job_id))
    return [*trials(store, job_id), *([] if refit is None else [refit])]
