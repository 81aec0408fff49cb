"""Chooses the trainings and jobs that are changed: by their ids, or by a filter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mitorch_service.errors import BrokenDocument, NotAllowed, NotFound
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import (
    ACTIVE_JOBS,
    ENDED,
    ENDED_JOBS,
    OPEN,
    RETRYABLE,
    JobStatus,
    TrainingStatus,
)
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind, TrainingFilter


class Chosen(NamedTuple):
    """A training or job, by its whole id."""

    kind: Kind
    id: str


@dataclass(frozen=True)
class Selection:
    """The choice of a person: ids (or their beginnings), or else a filter."""

    ids: tuple[str, ...] = ()
    tag: str | None = None  # key=value; alone it chooses the jobs that have it, too
    job: str | None = None  # its trials, but not the job itself
    status: TrainingStatus | None = None

    @property
    def is_filter(self) -> bool:
        return not self.ids


@dataclass(frozen=True)
class Scope:
    """The statuses that a filter looks for: of others a change would be refused."""

    trainings: tuple[TrainingStatus, ...]
    jobs: tuple[JobStatus, ...] = ()
    imported: bool = True  # whether it looks for trainings of other systems, too


CANCELABLE = Scope(OPEN, ACTIVE_JOBS)
REPEATABLE = Scope(  # a paused one is resumed by its search
    tuple(status for status in RETRYABLE if status != TrainingStatus.PAUSED), imported=False
)
DELETABLE = Scope(ENDED, ENDED_JOBS)
EVERYTHING = Scope(tuple(TrainingStatus), tuple(JobStatus))


@dataclass(frozen=True)
class Selected:
    """The trainings and jobs that were chosen, and the documents that cannot be read."""

    items: list[Chosen]
    broken: list[BrokenDocument] = field(default_factory=list)


def select(store: Store, selection: Selection, scope: Scope) -> Selected:
    """Finds what is to be changed, each once. A filter leaves out the trials of the jobs that it chooses, which change
    with them. Raises NotFound, AmbiguousId; NotAllowed if `job` is the id of a training."""
    if not selection.is_filter:
        return Selected(list(dict.fromkeys(_resolve(store, id) for id in selection.ids)))
    found = Selected([Chosen("job", job.id) for job in _jobs(store, selection, scope)])
    jobs = {id for _, id in found.items}
    wanted = scope.trainings if selection.status is None else (selection.status,)
    filter = TrainingFilter(selection.status, _job_id(store, selection.job), None, selection.tag)
    for row in store.trainings.iterate_trainings(filter, sys.maxsize):
        if isinstance(row, BrokenDocument):
            found.broken.append(row)
        elif row.imported_from is not None and not scope.imported:
            continue
        elif row.status in wanted and row.belongs_to not in jobs:
            found.items.append(Chosen("training", row.id))
    return found


def _resolve(store: Store, id: str) -> Chosen:
    """The one whose id begins so; or one with this very id, which is none of ours. Raises NotFound, AmbiguousId."""
    try:
        return Chosen(*store.trainings.resolve_id(id))
    except NotFound:
        found = store.damaged.find(id)
        return Chosen(found.kind, str(found.key))


def _jobs(store: Store, selection: Selection, scope: Scope) -> Iterator[Job]:
    if selection.tag is None or selection.job is not None or selection.status is not None:
        return
    for job in store.jobs.tagged_jobs(selection.tag):
        if job.status in scope.jobs:
            yield job


def _job_id(store: Store, prefix: str | None) -> str | None:
    if prefix is None:
        return None
    kind, id = store.trainings.resolve_id(prefix)
    if kind != "job":
        raise NotAllowed("training", id, "no job", "chosen by --job", "Give the id of a job.")
    return id
