"""Repairs a training or job whose document cannot be read, and removes one that cannot be repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import BrokenDocument, NewerDocument, NotAllowed, NotFound
from mitorch_service.models.base import DAMAGED
from mitorch_service.models.mending import NotMendable, mend, restore_job, restore_training
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE, OPEN, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.damaged import Found
from mitorch_service.stores.verbs.trainings import Kind

_REASON = "its document was damaged and has been repaired"


@dataclass(frozen=True)
class Repair:
    """A document after its repair."""

    kind: Kind
    id: str
    status: str
    was_damaged: bool  # False: nothing was changed
    lost: Sequence[str] = ()  # the values that were left out, by their paths


def repair(store: Store, id: str, now: datetime) -> Repair:
    """Stores what can be read of a damaged training or job as a valid document. A training whose attempts contradict
    its status becomes `failed`, and can be retried. Raises NotFound, AmbiguousId, NewerDocument; NotAllowed if too
    much is lost."""
    found = store.damaged.find(id)
    if damage_of(found) is None:
        document = _model(found).from_document(found.document)
        return Repair(found.kind, str(found.key), str(document.status), was_damaged=False)
    if not isinstance(found.key, str):
        raise NotAllowed(found.kind, str(found.key), "no document of ours", "repaired", _remedy(found))
    try:
        mended, lost = _mended_training(store, found, now) if found.kind == "training" else _mended_job(found)
    except NotMendable as error:
        state = f"damaged beyond repair ({error} is lost)"
        raise NotAllowed(found.kind, found.key, state, "repaired", _remedy(found)) from None
    unknown = {k: v for k, v in found.document.items() if k not in type(mended).model_fields and k != DAMAGED}
    store.damaged.replace(found.kind, {**unknown, **mended.to_document()})
    return Repair(found.kind, mended.id, str(mended.status), was_damaged=True, lost=lost)


def damage_of(found: Found) -> str | None:
    """Returns the reason why a document cannot be read; None if it can."""
    try:
        document = _model(found).from_document(found.document)
    except BrokenDocument as broken:
        return broken.reason
    return document.contradiction() if isinstance(document, Training) else None


def delete_damaged(store: Store, artifacts: ArtifactStore, found: Found) -> None:
    """Deletes a document that cannot be read, with its results and files. Raises NotAllowed while it may have a run, or
    is a trial of an active job."""
    status, job_id = found.document.get("status"), found.document.get("job_id")
    if found.kind == "training" and status in [one.value for one in ACTIVE]:
        remedy = "Let a pass of the controller set it aside first: micontrol."
        raise NotAllowed(found.kind, str(found.key), str(status), "deleted", remedy)
    jobs = store.jobs.active_jobs()
    newer = [one.key for one in jobs.broken if isinstance(one, NewerDocument)]
    if job_id in [*newer, *(job.id for job in jobs.items)]:
        raise NotAllowed(
            "training", str(found.key), "a trial of an active job", "deleted", f"Cancel job {job_id} first."
        )
    store.damaged.remove(found.kind, found.key)
    if found.kind == "training":
        artifacts.delete(f"{found.key}/")


def _model(found: Found) -> type[Training] | type[Job]:
    return Training if found.kind == "training" else Job


def _mended_training(store: Store, found: Found, now: datetime) -> tuple[Training, list[str]]:
    restored = restore_training(found.document, _arrival_of(store, found.document.get("job_id")))
    training, lost = mend(Training, restored)
    if training.status in OPEN and (training.contradiction() or DAMAGED in found.document):
        error = TrainingErrorInfo(type="BrokenDocument", message=f"{_REASON}: micontrol retry runs it again")
        times = {**training.status_times, TrainingStatus.FAILED.value: now}
        changes = {"status": TrainingStatus.FAILED, "error": error, "status_times": times, "fence": 0}
        training = training.model_copy(update=changes)
    return training, lost


def _mended_job(found: Found) -> tuple[Job, list[str]]:
    return mend(Job, restore_job(found.document))


def _arrival_of(store: Store, job_id: object) -> int | None:
    """The arrival of a trial's job, from which its number follows."""
    try:
        return store.jobs.get_job(job_id).arrival if isinstance(job_id, str) else None
    except (NotFound, BrokenDocument):
        return None


def _remedy(found: Found) -> str:
    return f"micontrol delete {found.key} removes it."
