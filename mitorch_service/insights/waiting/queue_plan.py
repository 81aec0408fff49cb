"""A pass of the controller for the head of the queue, planned but not made: why each training waits, until when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.observe.ended import RECORDED, read_ended
from mitorch_service.controller.observe.share_usage import ShareLedger
from mitorch_service.controller.observe.withheld_data import read_datasets, withheld_data
from mitorch_service.controller.plan.placing.order_of_service import OrderOfService, open_shares
from mitorch_service.controller.plan.placing.placement import Cluster, hosts_of
from mitorch_service.controller.plan.plan import open_placer
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.insights.waiting.queue_forecast import Expected, Held, forecast_starts
from mitorch_service.insights.waiting.recorded_durations import RecordedDurations
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.insights.waiting.served_next import read_served_next
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import TrainingRow
from mitorch_service.placement_settings.policy import FIRST_COME, Policy
from mitorch_service.stores.base import Store
from mitorch_service.wording.counted import counted

HEAD = 50  # trainings that are planned
_USUAL_SECONDS = 60.0  # between passes, where the controller does not say
_NAMED = 2  # clusters in one reason
_FULL = re.compile(r"\d+ of \d+ nodes? free, (\d+) needed")  # the reason of a cluster that has too few free nodes


@dataclass(frozen=True)
class Wait:
    """The prospects of a waiting training."""

    starts_on: str | None  # the cluster on which the next pass starts it
    reasons: Mapping[str, str] = field(default_factory=dict)  # cluster -> why it cannot start there now
    expected: Expected | None = None
    note: str | None = None  # in the place of a reason

    @property
    def text(self) -> str:
        """The reason in one line."""
        if self.note is not None:
            return self.note
        if self.starts_on is not None:
            return f"The next pass starts it on {self.starts_on}"
        if not self.reasons:
            return "The next pass looks at it"
        lacks = [_FULL.fullmatch(reason) for reason in self.reasons.values()]
        if all(lacks):  # the usual case, in short
            needed = max(int(lack[1]) for lack in lacks if lack)
            names = _some(list(self.reasons))
            return f"No free node on {names}" if needed == 1 else f"Too few free nodes for its {needed} on {names}"
        named = [f"{cluster}: {reason}" for cluster, reason in list(self.reasons.items())[:_NAMED]]
        more = len(self.reasons) - len(named)
        return "; ".join(named) + (f"; and {counted(more, 'more cluster')}" if more else "")


def _some(clusters: Sequence[str]) -> str:
    if len(clusters) <= _NAMED + 1:
        return ", ".join(clusters)
    return f"{', '.join(clusters[:_NAMED])} and {len(clusters) - _NAMED} more clusters"


@dataclass(frozen=True)
class QueuePlan:
    """The plan for the head of the queue."""

    waits: Mapping[str, Wait] = field(default_factory=dict)  # by training
    recorded: int = 0  # trainings whose durations the expected starts are drawn from


def read_snapshot(
    store: Store,
    capacities: Mapping[str, Capacity],
    asked_at: Mapping[str, datetime],
    clusters: Sequence[Cluster],
    now: datetime,
    policy: Policy = FIRST_COME,
) -> Snapshot:
    """Reads the snapshot of a pass, with capacities that are known already: no cluster is asked. `asked_at`: when each
    of them answered. A run that its cluster had before counts as known to it."""
    head, active = store.queue.queue_head(HEAD).items, store.queue.active_trainings().items
    queue = read_served_next(store, policy, now, head, active, HEAD).queue
    datasets = read_datasets(store, (row.dataset for row in queue))
    near = any(cluster.data for cluster in clusters)
    return Snapshot(
        queue=queue,
        active=active,
        runs=dict(_known_runs(active, asked_at)),
        clusters=capacities,
        configured=frozenset(capacities) | {cluster.name for cluster in clusters},
        facts={cluster.name: cluster for cluster in clusters},
        hosts={name: hosts_of(dataset) for name, dataset in datasets.items()} if near else {},
        withheld=withheld_data(datasets, now),
        policy=policy,
        usage=None if policy.fair_share is None else ShareLedger(store, policy.fair_share).read(now, active),
    )


def _known_runs(
    active: Iterable[TrainingRow], asked_at: Mapping[str, datetime]
) -> Iterable[tuple[str, RunStatus | None]]:
    for row in active:
        attempt = row.current_attempt()
        if attempt is None or attempt.cluster not in asked_at:
            continue
        accepted = attempt.submitted_at
        if accepted is not None and accepted <= asked_at[attempt.cluster]:
            yield attempt.run_name, RunStatus(RunState.RUNNING)


def read_durations(store: Store) -> RecordedDurations:
    """The durations of what ended last, by an index."""
    return RecordedDurations(read_ended(store, RECORDED))


def plan_queue(now: datetime, snapshot: Snapshot, recorded: RecordedDurations, every: float | None) -> QueuePlan:
    """Plans the head of the queue: one plan for all of them. `every`: seconds between passes, if they are known."""
    order = OrderOfService(snapshot.queue, open_shares(now, snapshot))
    placer = open_placer(now, snapshot)
    places: dict[str, tuple[str | None, dict[str, str]]] = {}
    for row in order:
        cluster = placer.place(row)
        places[row.id] = cluster, {} if cluster else placer.explain(row)
        if cluster:
            order.start(row)
    held = [one for row in snapshot.active if (one := _held(row, recorded, now)) is not None]
    durations = {row.id: recorded.of(row) for row in snapshot.queue}
    expected: Mapping[str, Expected] = {}
    if len(recorded):
        expected = forecast_starts(now, snapshot, held, durations, every or _USUAL_SECONDS)
    waits = {id: Wait(cluster, reasons, expected.get(id)) for id, (cluster, reasons) in places.items()}
    return QueuePlan(waits, len(recorded))


def _held(row: TrainingRow, recorded: RecordedDurations, now: datetime) -> Held | None:
    attempt = row.current_attempt()
    if attempt is None:
        return None
    elapsed = max(timedelta(), now - attempt.queued_at).total_seconds()
    left = training_remaining(row, now)
    return Held(
        attempt.cluster, attempt.nodes, elapsed, None if left is None else left.total_seconds(), recorded.of(row)
    )
