"""The clusters with their capacity, trainings by status, active jobs and the head of the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mitorch_service.backends.base import Backend, Capacity
from mitorch_service.backends.optional import LiveRun, RunListing
from mitorch_service.controller.observe.live_runs import read_leaks
from mitorch_service.controller.observe.withheld_data import read_datasets, withheld_data
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.controller.plan.leaked_runs import SETTLES, Leak
from mitorch_service.controller.plan.placing.fair_share import ShareReport
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.errors import BackendError, BrokenDocument
from mitorch_service.insights.strangers import read_strangers
from mitorch_service.insights.waiting.served_next import read_served_next
from mitorch_service.insights.webhooks import WebhookStatus, read_webhook_states
from mitorch_service.models.fair_share.share import By
from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.placement_settings.policy import FIRST_COME, Policy
from mitorch_service.stores.base import Store
from mitorch_service.webhook_settings.webhook import Webhook

_HEAD = 100  # trainings of the queue whose attempts show what clusters have refused
_SHOWN = 10  # of them
_SHOWN_RUNNING = 50
_NO_PRICES: Mapping[str, float] = {}
_OBEYED_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class ClusterStatus:
    """A cluster's capacity, or why it is unknown."""

    capacity: Capacity | None
    error: str | None = None
    refusal: str | None = None  # the last training that it refused, if it has accepted none since
    live: Sequence[LiveRun] | None = None  # its runs; None: it cannot list them
    price: float = 0.0  # of a node for an hour
    ours: int = 0  # nodes that active trainings have there

    @property
    def unexplained(self) -> int:
        """Nodes that are busy or unusable without a training of ours: what is perhaps paid for and does nothing."""
        return 0 if self.capacity is None else max(0, self.capacity.total - self.capacity.free - self.ours)


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
    webhooks: Sequence[WebhookStatus] = ()
    withheld: Mapping[str, str] = field(default_factory=dict)  # data sets whose trainings wait, with the reason
    undelivered: Sequence[TrainingRow] = ()  # of the queue's head: finished work that waits on its cluster's disk
    leaks: Sequence[Leak] = ()  # runs that no training knows
    without_run: Sequence[TrainingRow] = ()  # queued or running, but their clusters have no such run: for the next pass
    by: By | None = None  # what the shares are of; None: none are counted
    shares: Sequence[ShareReport] = ()  # the one that is served next first
    unheard: Sequence[TrainingRow] = ()  # asked to stop ten minutes ago or longer, and not ended


def read_status(
    store: Store,
    backends: Mapping[str, Backend],
    now: datetime,
    webhooks: Sequence[Webhook] = (),
    policy: Policy = FIRST_COME,
    prices: Mapping[str, float] = _NO_PRICES,
) -> ServiceStatus:
    """Asks every cluster for its capacity and its runs; one that does not answer is reported with its error. `prices`:
    of a node for an hour, by cluster."""
    asked = {name: replace(ask_cluster(one), price=prices.get(name, 0.0)) for name, one in backends.items()}
    return status_with(store, asked, now, webhooks, policy)


def status_with(
    store: Store,
    clusters: Mapping[str, ClusterStatus],
    now: datetime,
    webhooks: Sequence[Webhook] = (),
    policy: Policy = FIRST_COME,
) -> ServiceStatus:
    """The state of the service with what is known of the clusters already."""
    head, active, jobs = store.queue.queue_head(_HEAD), store.queue.active_trainings(), store.jobs.active_jobs()
    queue = head.items
    backoff = ClusterBackoff(now, queue, active.items)
    ours = _nodes(active.items)
    served = read_served_next(store, policy, now, queue, active.items, _SHOWN)
    return ServiceStatus(
        clusters={
            name: replace(one, refusal=backoff.last_refusal(name), ours=ours[name]) for name, one in clusters.items()
        },
        counts=store.trainings.count_trainings(),
        jobs=jobs.items,
        queue=served.queue,
        running=sorted(active.items, key=_oldest_first)[:_SHOWN_RUNNING],
        controller=store.controllers.last_pass(),
        unreadable=[*head.broken, *active.broken, *jobs.broken, *read_strangers(store)],
        webhooks=read_webhook_states(store, webhooks),
        withheld=read_withheld(store, queue, backoff, now),
        undelivered=[row for row in queue if row.kept_on() is not None],
        leaks=_leaks(store, clusters, active.items, now),
        without_run=_without_run(clusters, active.items, now),
        by=None if policy.fair_share is None else policy.fair_share.by,
        shares=served.shares,
        unheard=[row for row in active.items if _is_unheard(row, now)],
    )


def read_withheld(
    store: Store, queue: Sequence[TrainingRow], backoff: ClusterBackoff, now: datetime
) -> Mapping[str, str]:
    """Returns the data sets of the queue's head that runs cannot read, each with the reason and since when."""
    return backoff.refused_data() | withheld_data(read_datasets(store, (row.dataset for row in queue)), now)


def ask_cluster(backend: Backend) -> ClusterStatus:
    """Asks one cluster for its capacity, and for its runs if it can list them."""
    try:
        live = backend.live_runs() if isinstance(backend, RunListing) else None
        return ClusterStatus(backend.capacity(), live=live)
    except BackendError as error:
        return ClusterStatus(None, str(error))


def _leaks(
    store: Store, clusters: Mapping[str, ClusterStatus], active: Sequence[TrainingRow], now: datetime
) -> list[Leak]:
    facts = {name: Cluster(name, price=one.price) for name, one in clusters.items()}
    return read_leaks(store, now, {name: one.live or () for name, one in clusters.items()}, active, facts)


def _without_run(
    clusters: Mapping[str, ClusterStatus], active: Sequence[TrainingRow], now: datetime
) -> list[TrainingRow]:
    """A run that was claimed a moment ago may not be submitted yet, and one that has ended not be noticed."""
    live = {run.name for one in clusters.values() for run in one.live or ()}
    listed = {name for name, one in clusters.items() if one.live is not None}
    found = [(row, attempt) for row in active if (attempt := row.current_attempt()) is not None]
    missing = [(row, one) for row, one in found if one.cluster in listed and one.run_name not in live]
    return [row for row, attempt in missing if now - attempt.queued_at >= SETTLES]


def _nodes(active: Iterable[TrainingRow]) -> Counter[str]:
    nodes: Counter[str] = Counter()
    for row in active:
        attempt = row.current_attempt()
        if attempt is not None:
            nodes[attempt.cluster] += attempt.nodes
    return nodes


def _is_unheard(row: TrainingRow, now: datetime) -> bool:
    return row.cancel_requested_at is not None and now - row.cancel_requested_at > _OBEYED_WITHIN


def _oldest_first(row: TrainingRow) -> tuple[bool, datetime]:
    """Running before queued, each by its last change of status."""
    return row.status != TrainingStatus.RUNNING, row.status_times.get(row.status, row.created_at)
