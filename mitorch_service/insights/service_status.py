"""The clusters with their capacity, trainings by status, active jobs and the head of the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mitorch_service.backends.base import Backend, Capacity
from mitorch_service.controller.observe.withheld_data import read_datasets, withheld_data
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.errors import BackendError, BrokenDocument
from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.models.job import Job
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store

_HEAD = 100  # trainings of the queue whose attempts show what clusters have refused
_SHOWN = 10  # of them
_SHOWN_RUNNING = 50


@dataclass(frozen=True)
class ClusterStatus:
    """A cluster's capacity, or why it is unknown."""

    capacity: Capacity | None
    error: str | None = None
    refusal: str | None = None  # the last training that it refused, if it has accepted none since


@dataclass(frozen=True)
class ServiceStatus:
    """The state of the whole service."""

    clusters: Mapping[str, ClusterStatus]
    counts: Mapping[str, int]  # trainings by status
    jobs: Sequence[Job]  # active
    queue: Sequence[TrainingRow]  # the next trainings to start
    running: Sequence[TrainingRow]  # and those that are queued on a cluster; the first of them
    controller: Heartbeat | None  # the last pass of any controller
    unreadable: Sequence[BrokenDocument] = ()  # among all these
    withheld: Mapping[str, str] = field(default_factory=dict)  # data sets whose trainings wait, with the reason


def read_status(store: Store, backends: Mapping[str, Backend], now: datetime) -> ServiceStatus:
    """Asks every cluster for its capacity; one that does not answer is reported with its error."""
    head, active, jobs = store.queue.queue_head(_HEAD), store.queue.active_trainings(), store.jobs.active_jobs()
    queue = head.items
    backoff = ClusterBackoff(now, queue, active.items)
    refused = {name: backoff.last_refusal(name) for name in backends}
    return ServiceStatus(
        clusters={name: _cluster_status(backend, refused[name]) for name, backend in backends.items()},
        counts=store.trainings.count_trainings(),
        jobs=jobs.items,
        queue=queue[:_SHOWN],
        running=sorted(active.items, key=_oldest_first)[:_SHOWN_RUNNING],
        controller=store.controllers.last_pass(),
        unreadable=[*head.broken, *active.broken, *jobs.broken],
        withheld=read_withheld(store, queue, backoff, now),
    )


def read_withheld(
    store: Store, queue: Sequence[TrainingRow], backoff: ClusterBackoff, now: datetime
) -> Mapping[str, str]:
    """Returns the data sets of the queue's head that runs cannot read, each with the reason and since when."""
    return backoff.refused_data() | withheld_data(read_datasets(store, (row.dataset for row in queue)), now)


def _cluster_status(backend: Backend, refusal: str | None) -> ClusterStatus:
    try:
        return ClusterStatus(backend.capacity(), refusal=refusal)
    except BackendError as error:
        return ClusterStatus(None, str(error))


def _oldest_first(row: TrainingRow) -> tuple[bool, datetime]:
    """Running before queued, each by its last change of status."""
    return row.status != TrainingStatus.RUNNING, row.status_times.get(row.status, row.created_at)
