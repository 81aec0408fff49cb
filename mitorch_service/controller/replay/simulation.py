"""Replays a workload with simulated runs: a clock that jumps, and the plan of a real pass. Pure.

A pass is made at whole multiples of the interval at which something can have changed: a training was submitted and
nodes are free, or a run has ended. It sees what a real pass sees, the head of the queue and the active trainings, and
what it launches runs for as long as the workload says.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.plan.actions import Launch
from mitorch_service.controller.plan.placing.duration_bounds import DurationBounds
from mitorch_service.controller.plan.placing.head_limits import MOST_A_PASS, far_limit, some_are_bound
from mitorch_service.controller.plan.placing.order_of_service import in_order
from mitorch_service.controller.plan.placing.placement import Cluster, unplaceable
from mitorch_service.controller.plan.plan import open_placer, plan
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.controller.replay.waiting_line import WaitingLine
from mitorch_service.controller.replay.work import Course, Nodes, Placed, Work
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.fair_share.usage import ShareUsage, Usage, decayed_hours, usage_id
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Resources, TrainingRow
from mitorch_service.placement_settings.policy import FairShare, Policy

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def replay(work: Sequence[Work], clusters: Sequence[Nodes], policy: Policy, every: float = 60.0) -> Course:
    """Returns the course of events under a policy. `every`: seconds between passes."""
    return _Replay(work, clusters, policy, every).run()


class _Replay:
    def __init__(self, work: Sequence[Work], clusters: Sequence[Nodes], policy: Policy, every: float) -> None:
        self._work = sorted(work, key=lambda one: one.submitted)
        self._every = every
        self._policy = policy
        self._facts = {
            one.name: Cluster(one.name, one.price, one.gpus, one.memory, one.nodes, one.data) for one in clusters
        }
        self._capacities = {one.name: Capacity(one.nodes, one.nodes) for one in clusters}
        self._room = sum(one.nodes for one in clusters)
        self._line = WaitingLine()
        self._active: dict[str, tuple[TrainingRow, Work]] = {}
        self._ends: list[tuple[float, str]] = []
        self._bounds = DurationBounds() if policy.backfill else None
        self._used = _DecayingUse(policy.fair_share)
        self._course = Course()

    def run(self) -> Course:
        """Makes passes until everything has run that can."""
        arrivals, passes = deque(enumerate(self._work)), 0
        while arrivals or self._ends:
            at = self._next_pass(arrivals[0][1].submitted if arrivals else math.inf)
            while arrivals and arrivals[0][1].submitted <= at:
                self._submit(*arrivals.popleft())
            while self._ends and self._ends[0][0] <= at:
                self._end(*heapq.heappop(self._ends))
            if self._line and self._room > 0:
                self._pass(at)
                passes += 1
        self._course.never.extend(self._work[row.arrival] for row in self._line.rest())
        return Course(self._course.placed, self._course.never, passes)

    def _next_pass(self, arrival: float) -> float:
        """The pass that sees the next end, or the next training that is submitted while nodes are free."""
        end = self._ends[0][0] if self._ends else math.inf
        event = min(arrival, end) if self._room > 0 or math.isinf(end) else end
        return math.ceil(event / self._every) * self._every

    def _submit(self, number: int, work: Work) -> None:
        row = _row(number, work)
        if row.resources is not None and unplaceable(row.resources, self._facts.values()) is not None:
            self._course.never.append(work)
        else:
            self._line.add(row, self._share(work))

    def _pass(self, at: float) -> None:
        now = _EPOCH + timedelta(seconds=at)
        snapshot = self._snapshot(now)
        for action in plan(now, snapshot):
            if isinstance(action, Launch):
                self._start(action, at)

    def _snapshot(self, now: datetime) -> Snapshot:
        rows = self._head(now)
        return self._seen(now, rows)

    def _head(self, now: datetime) -> list[TrainingRow]:
        """The head of the queue as a pass reads it."""
        rows = self._line.head(self._room + 1)
        if self._room < len(rows) and some_are_bound(rows):
            rows = self._line.head(far_limit(self._room))
            while len(rows) < min(len(self._line), MOST_A_PASS):
                if not open_placer(now, self._seen(now, rows)).leaves_room(in_order(rows)):
                    break
                rows = self._line.head(2 * len(rows))
        return rows if self._policy.fair_share is None else self._line.with_shares(rows, self._room)

    def _seen(self, now: datetime, rows: list[TrainingRow]) -> Snapshot:
        return Snapshot(
            queue=rows,
            active=[row for row, _ in self._active.values()],
            clusters=self._capacities,
            configured=frozenset(self._capacities),
            facts=self._facts,
            policy=self._policy,
            usage=self._used.at(now),
            bounds=self._bounds,
        )

    def _start(self, action: Launch, at: float) -> None:
        number = int(action.training_id)
        work, attempt = self._work[number], action.attempt
        row = self._line.remove(action.training_id, self._share(work))
        started = attempt.model_copy(update={"started_at": attempt.queued_at, "submitted_at": attempt.queued_at})
        changes = {"status": TrainingStatus.RUNNING, "attempt": 1, "attempts": [started]}
        self._active[row.id] = row.model_copy(update=changes), work
        self._room -= work.nodes
        self._used.start(self._share(work), started.queued_at)
        end = at + work.seconds
        heapq.heappush(self._ends, (end, row.id))
        self._course.placed.append(Placed(work, attempt.cluster, at, end, attempt.behind is not None))

    def _end(self, at: float, id: str) -> None:
        row, work = self._active.pop(id)
        self._room += work.nodes
        begin = row.attempts[0].queued_at
        self._used.add(self._share(work), begin, _EPOCH + timedelta(seconds=at), work.nodes)
        if self._bounds is not None:
            self._bounds.add(row, work.seconds)

    def _share(self, work: Work) -> str:
        settings = self._policy.fair_share
        return "" if settings is None else (work.user if settings.by == "user" else work.team)


class _DecayingUse:
    """The use of shares, as the controllers keep it in the database."""

    def __init__(self, settings: FairShare | None) -> None:
        self._settings = settings
        self._at = _EPOCH
        self._hours: dict[str, float] = {}
        self._started: dict[str, datetime] = {}

    def start(self, share: str, at: datetime) -> None:
        """Notes that a training of the share was given nodes."""
        self._started[share] = at

    def add(self, share: str, begin: datetime, end: datetime, nodes: int) -> None:
        """Counts an attempt that has ended."""
        if self._settings is not None:
            self._decay(max(end, self._at))
            hours = decayed_hours(begin, end, self._at, self._settings.half_life)
            self._hours[share] = self._hours.get(share, 0.0) + hours * nodes

    def at(self, now: datetime) -> Usage | None:
        """Returns the use at a later time."""
        if self._settings is None:
            return None
        self._decay(now)
        started: Mapping[str, datetime] = self._started
        names: Iterable[str] = self._hours.keys() | started.keys()
        shares = [
            ShareUsage.model_construct(share=name, node_hours=self._hours.get(name, 0.0), started_at=started.get(name))
            for name in names
        ]
        return Usage.model_construct(id=usage_id(self._settings.by), at=now, version=1, shares=shares, open=[])

    def _decay(self, now: datetime) -> None:
        if self._settings is None or now <= self._at:
            return
        factor = 0.5 ** ((now - self._at) / timedelta(hours=self._settings.half_life))
        self._at = now
        self._hours = {share: hours * factor for share, hours in self._hours.items()}


def _row(number: int, work: Work) -> TrainingRow:
    """The training as it waits; its id is its number, and so is its arrival."""
    needs = work.nodes > 1 or work.gpus is not None or work.memory is not None or work.clusters is not None
    clusters = None if work.clusters is None else list(work.clusters)
    resources = Resources(gpus=work.gpus, nodes=work.nodes, memory=work.memory, cluster=clusters) if needs else None
    submitted = _EPOCH + timedelta(seconds=work.submitted)
    return TrainingRow.model_construct(
        id=str(number),
        status=TrainingStatus.NEW,
        priority=work.priority,
        submitted_by=work.user or None,
        arrival=number,
        created_at=submitted,
        status_times={"new": submitted},
        dataset=DatasetRef.model_construct(name=work.dataset, version=1),
        tags=[f"team={work.team}"] if work.team else [],
        attempts=[],  # pydantic takes long to find out what makes such defaults
        artifacts={},
        max_epochs=work.epochs,
        resources=resources,
    )
