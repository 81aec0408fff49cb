"""Takes over the trainings and jobs that other programs have inserted, before a pass looks at the queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.wanted import Wanted
from mitorch_service.controller.pass_report import PassCount
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.stores.verbs.trainings import Kind

_AT_ONCE = 1000  # documents of a kind in one pass: the next one goes on
_FAILED = (TrainingStatus.FAILED, JobStatus.FAILED)


class Translation(Protocol):
    """Turns a foreign document into one of ours, given from outside: it knows forms that a pass need not know."""

    def __call__(self, kind: Kind, found: StoredDocument, now: datetime) -> Training | Job:
        """Returns a new training or job, or a failed one that says what is wrong. Raises StoreUnavailable."""


def adopt_documents(
    store: Store,
    translate: Translation,
    events: EventLog,
    now: datetime,
    wanted: Wanted,
    in_time: Callable[[], bool],
) -> None:
    """Adopts what is there, each by a guarded change; a fault with one does not stop the others."""
    kinds: tuple[Kind, ...] = ("job", "training")
    for kind in kinds:
        with events.collect_errors(f"looking for {kind}s of other programs"):
            for found in store.adoption.foreign_documents(kind, _AT_ONCE):
                if not in_time():
                    return
                with events.collect_errors(f"adopting {kind} {found['_id']}"):
                    _adopt(store, kind, found, translate(kind, found, now), events, wanted)


def _adopt(
    store: Store, kind: Kind, found: StoredDocument, ours: Training | Job, events: EventLog, wanted: Wanted
) -> None:
    document = ours.to_document()
    announced = wanted.jobs if kind == "job" else wanted.trainings
    if ours.status in _FAILED and announced:
        document["announce_end"] = True
    if not store.adoption.adopt(kind, found, document):
        return
    name = f"{kind} {ours.id}" + ("" if ours.id == found["_id"] else f" (inserted as {found['_id']})")
    if ours.status not in _FAILED:
        events.note(f"{name} adopted: another program had inserted it")
        return
    problem = ours.error.message if isinstance(ours, Training) and ours.error is not None else ours.error
    counter = PassCount.JOBS_ENDED if kind == "job" else PassCount.FAILED
    events.note_failure(f"{name} failed: {problem}", counter)
