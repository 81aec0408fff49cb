"""The clusters with their capacity, trainings by status, active jobs and the head of the queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.backends.base import Backend, Capacity
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff, setbacks
from mitorch_service.errors import BackendError
from mitorch_service.models.job import Job
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store

_HEAD = 100  # trainings of the queue whose attempts show what clusters have refused
_SHOWN = 10  # of them


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


def read_status(store: Store, backends: Mapping[str, Backend], now: datetime) -> ServiceStatus:
    """Asks every cluster for its capacity; one that does not answer is reported with its error."""
    queue = store.queue.queue_head(_HEAD).items
    refused = _last_refusals(store, queue, backends, now)
    return ServiceStatus(
        clusters={name: _cluster_status(backend, refused[name]) for name, backend in backends.items()},
        counts=store.trainings.count_trainings(),
        jobs=store.jobs.active_jobs().items,
        queue=queue[:_SHOWN],
    )


def _cluster_status(backend: Backend, refusal: str | None) -> ClusterStatus:
    try:
        return ClusterStatus(backend.capacity(), refusal=refusal)
    except BackendError as error:
        return ClusterStatus(None, str(error))


def _last_refusals(
    store: Store, queue: Sequence[TrainingRow], clusters: Iterable[str], now: datetime
) -> dict[str, str | None]:
    active = store.queue.active_trainings().items if any(map(setbacks, queue)) else ()
    backoff = ClusterBackoff(now, queue, active)
    return {name: backoff.last_refusal(name) for name in clusters}
