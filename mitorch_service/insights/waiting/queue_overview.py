"""The first page of the queue: what runs, what starts next, the active searches, what ended lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.controller.observe.ended import read_ended
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.errors import BrokenDocument
from mitorch_service.insights.strangers import read_strangers
from mitorch_service.insights.waiting.queue_plan import HEAD
from mitorch_service.insights.waiting.served_next import read_served_next
from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED_BADLY, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.placement_settings.policy import FIRST_COME, Policy
from mitorch_service.stores.base import Store
from mitorch_service.stores.document_paths import value_at

_RUNNING = 50
_JOBS = 20
_ENDED = 15


@dataclass(frozen=True)
class QueueOverview:
    """The first of each kind, and how many there are."""

    counts: Mapping[str, int]  # trainings by status
    running: Sequence[TrainingRow]  # the running ones, then those that a cluster has queued; the newest first
    active: int
    waiting: Sequence[TrainingRow]  # in the order in which they are served
    jobs: Sequence[Job]  # active ones, by priority
    active_jobs: int
    ended: Sequence[TrainingRow]  # the last one first
    errors: Mapping[str, str]  # why those of them failed that did
    refusals: Mapping[str, str]  # cluster -> its last refusal, if it has accepted none since
    controller: Heartbeat | None  # the last pass of any controller
    unreadable: Sequence[BrokenDocument]


def read_overview(store: Store, clusters: Sequence[str], now: datetime, policy: Policy = FIRST_COME) -> QueueOverview:
    """Reads it by indexes, in a time that grows with what is active. `clusters`: their names."""
    ended = read_ended(store, _ENDED)
    jobs, head, active = store.jobs.active_jobs(), store.queue.queue_head(HEAD), store.queue.active_trainings()
    backoff = ClusterBackoff(now, head.items, active.items)
    refusals = {name: text for name in clusters if (text := backoff.last_refusal(name)) is not None}
    return QueueOverview(
        counts=store.trainings.count_trainings(),
        running=sorted(active.items, key=_running_first, reverse=True)[:_RUNNING],
        active=len(active.items),
        waiting=read_served_next(store, policy, now, head.items, active.items, HEAD).queue,
        jobs=jobs.items[:_JOBS],
        active_jobs=len(jobs.items),
        ended=ended,
        errors=_errors(store, [row.id for row in ended if row.status in ENDED_BADLY]),
        refusals=refusals,
        controller=store.controllers.last_pass(),
        unreadable=[*head.broken, *active.broken, *jobs.broken, *read_strangers(store)],
    )


def _errors(store: Store, ids: Sequence[str]) -> dict[str, str]:
    found = store.tables.documents(ids, without=("config", "attempts", "artifacts"))
    texts = {id: value_at(document, "error.message") for id, document in found.items()}
    return {id: text for id, text in texts.items() if isinstance(text, str)}


def _running_first(row: TrainingRow) -> tuple[bool, datetime, str]:
    return row.status == TrainingStatus.RUNNING, row.status_times.get(row.status, row.created_at), row.id
