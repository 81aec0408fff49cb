"""What a person orders: cancel, retry, re-prioritise, delete; a training or a job with all its trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.controller.observe.refit import read_refit
from mitorch_service.errors import BackendError, NotAllowed
from mitorch_service.models.job import Job, SearchConfig
from mitorch_service.models.status import ACTIVE, ACTIVE_JOBS, ENDED, RETRYABLE, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.trainings import TrainingFilter

_PAGE = 500


def cancel_training(store: Store, backends: Mapping[str, Backend], training_id: str, now: datetime) -> TrainingRow:
    """A new training is canceled in the store, an active one by asking its run too; where the cluster does not answer
    now, the next pass asks again. Raises NotFound, NotAllowed."""
    row = store.queue.request_cancel(training_id, now)
    attempt = row.current_attempt()
    if row.status in ACTIVE and attempt is not None and attempt.cluster in backends:
        try:
            backends[attempt.cluster].cancel(attempt.run_name)
        except BackendError:
            return row  # the wish is recorded: every pass asks until the run has ended
    return row


def cancel_job(store: Store, backends: Mapping[str, Backend], job_id: str, now: datetime) -> int:
    """No trial is created from now on, and all that have not ended are canceled; returns how many. Raises NotFound,
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
        remedy = "Its job takes it on, or puts another in its place, once all members have come as far."
        raise NotAllowed("training", training_id, "a member of a population that is under way", "retried", remedy)
    store.queue.retry_training(training_id, now, to_its_end=pausing and (search is None or training.is_paused()))


def _active_search(store: Store, training: TrainingRow) -> SearchConfig | None:
    """That of the training's job; None if it has ended."""
    return next((job.search for job in store.jobs.active_jobs().items if job.id == training.job_id), None)


def retry_job(store: Store, job_id: str, now: datetime) -> int:
    """Queues all ended trials again that are not completed, nor only paused; returns how many. Raises NotFound;
    NotAllowed when the job itself has ended, or is a population, which does so itself."""
    job = store.jobs.get_job(job_id)
    if job.status not in ACTIVE_JOBS:
        remedy = "Submit it again, or retry single trials."
        raise NotAllowed("job", job_id, job.status, "retried", remedy)
    if job.search.algorithm == "pbt":
        raise NotAllowed(
            "job", job_id, "a population", "retried", "It puts others in the place of lost members itself."
        )
    retried = 0
    for status in RETRYABLE:
        for row in list(trials(store, job_id, status)):
            if row.is_paused():
                continue  # its search resumes it
            try:
                store.queue.retry_training(row.id, now)
                retried += 1
            except NotAllowed:
                continue  # somebody else was faster, or it was tried too often
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
    """Document, results and files of an ended training. Raises NotFound; NotAllowed while it has not ended, or is a
    trial of an active job (which would create it again)."""
    job_id = store.trainings.get_training(training_id).belongs_to
    if job_id is not None and any(job.id == job_id for job in store.jobs.active_jobs().items):
        remedy = f"Cancel job {job_id} first."
        raise NotAllowed("training", training_id, "a trial of an active job", "deleted", remedy)
    store.queue.delete_training(training_id)
    artifacts.delete(f"{training_id}/")


def delete_job(store: Store, artifacts: ArtifactStore, job_id: str) -> int:
    """An ended job with all its trials; returns how many trials. Raises NotFound, NotAllowed."""
    job = store.jobs.get_job(job_id)
    if job.status in ACTIVE_JOBS:
        raise NotAllowed("job", job_id, job.status, "deleted", "Cancel it first.")
    refit = _refit(store, job)
    still = store.jobs.open_trials(job_id, limit=1).items or (refit is not None and refit.status not in ENDED)
    if still:  # a single trial that was retried after the job's end
        raise NotAllowed("job", job_id, f"{job.status}, but not all its trials", "deleted", "Cancel these first.")
    rows = list(trials(store, job_id))
    for row in chain(rows, [refit] if refit is not None else []):
        store.queue.delete_training(row.id)
        artifacts.delete(f"{row.id}/")
    store.jobs.delete_job(job_id)
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
    """All trials of a job, page by page."""
    after: tuple[int, str] | None = None
    while True:
        rows = store.trainings.list_trainings(TrainingFilter(status, job_id), _PAGE, after).items
        yield from rows
        if len(rows) < _PAGE:
            return
        after = (rows[-1].arrival, rows[-1].id)
