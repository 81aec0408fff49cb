"""Predicts when waiting trainings start: passes of the controller are replayed with its own placement, with durations
drawn from the recorded ones. Pure."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.controller.plan.cluster_backoff import BACKOFF, ClusterBackoff, setbacks
from mitorch_service.controller.plan.placing.order_of_service import OrderOfService, open_shares
from mitorch_service.controller.plan.placing.placement import Placer
from mitorch_service.controller.plan.plan import free_nodes
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.training import TrainingRow

REPLAYS = 40
_LOOKS = 12  # after each BACKOFF, where a cluster has refused trainings
_EARLY, _LIKELY, _LATE = 0.1, 0.5, 0.9


@dataclass(frozen=True)
class Held:
    """Nodes that a training holds now."""

    cluster: str
    nodes: int
    elapsed: float  # seconds since it was assigned
    remaining: float | None  # seconds; None: not known, and drawn
    durations: Sequence[float]  # seconds that such trainings took


@dataclass(frozen=True)
class Expected:
    """The times from now until a start: in 10, 50 and 90 % of the replays it was earlier."""

    early: timedelta
    likely: timedelta
    late: timedelta


def forecast_starts(
    now: datetime,
    snapshot: Snapshot,
    held: Sequence[Held],
    durations: Mapping[str, Sequence[float]],
    every: float = 0.0,
    replays: int = REPLAYS,
    seed: int = 0,
) -> dict[str, Expected]:
    """Returns the expected start of each training in the snapshot's queue, by id; those that never started in a replay
    are missing. `durations`: seconds by training, of which each replay draws one; without any a training is taken to
    hold its nodes for ever. `every`: seconds between passes. Trainings that are submitted later with a lower priority
    number, searches that add trials, and backfilling are not foreseen; what starts in a replay counts for its share as
    it does in one pass."""
    found: dict[str, list[float]] = {row.id: [] for row in snapshot.queue}
    for number in range(replays):
        draw = random.Random(seed + number)
        first = draw.uniform(0.0, every)
        for id, start in _Replay(now, snapshot, held, durations, draw).starts().items():
            found[id].append(_next_pass(start, first, every))
    return {id: _expected(starts) for id, starts in found.items() if len(starts) == replays}


def _next_pass(start: float, first: float, every: float) -> float:
    """When the pass comes that sees what is free at `start`; the first comes at `first`."""
    if start <= first or not every:
        return max(start, first)
    return first + every * math.ceil((start - first) / every)


def _expected(starts: list[float]) -> Expected:
    ordered = sorted(starts)
    early, likely, late = (ordered[int(share * (len(ordered) - 1))] for share in (_EARLY, _LIKELY, _LATE))
    return Expected(timedelta(seconds=early), timedelta(seconds=likely), timedelta(seconds=late))


class _Replay:
    """One course of events, in seconds from now."""

    def __init__(
        self,
        now: datetime,
        snapshot: Snapshot,
        held: Sequence[Held],
        durations: Mapping[str, Sequence[float]],
        draw: random.Random,
    ) -> None:
        self._now = now
        self._snapshot = snapshot
        self._durations = durations
        self._draw = draw
        self._free = free_nodes(snapshot)
        self._shares = open_shares(now, snapshot)
        self._has_setbacks = any(setbacks(row) for row in snapshot.queue)
        self._ends: list[tuple[float, str, int]] = []  # when, cluster, nodes
        for one in held:
            left = self._remaining(one)
            if left is not None:
                self._ends.append((left, one.cluster, one.nodes))
        if self._has_setbacks:
            self._ends += [(number * BACKOFF.total_seconds(), "", 0) for number in range(1, _LOOKS + 1)]
        heapq.heapify(self._ends)

    def starts(self) -> dict[str, float]:
        """The start of each training that starts."""
        starts: dict[str, float] = {}
        waiting, at = list(self._snapshot.queue), 0.0
        while True:
            waiting = self._pass(waiting, at, starts)
            if not waiting or not self._ends:
                return starts
            at = self._next_end()

    def _pass(self, waiting: Sequence[TrainingRow], at: float, starts: dict[str, float]) -> list[TrainingRow]:
        """Assigns what fits; returns what still waits."""
        placer = self._placer(at)
        left = []
        order = OrderOfService(waiting, self._shares)
        for row in order:
            cluster = None if placer.full else placer.place(row)
            if cluster is None:
                left.append(row)
                continue
            starts[row.id] = at
            order.start(row)
            nodes = 1 if row.resources is None else row.resources.nodes
            self._free[cluster] -= nodes
            known = self._durations.get(row.id)
            if known:
                heapq.heappush(self._ends, (at + self._draw.choice(known), cluster, nodes))
        return left

    def _placer(self, at: float) -> Placer:
        snapshot, now = self._snapshot, self._now + timedelta(seconds=at)
        seen = (snapshot.queue, snapshot.active) if self._has_setbacks else ()
        backoff = ClusterBackoff(now, *seen)
        return Placer(snapshot.facts, snapshot.clusters, self._free, snapshot.hosts, backoff, snapshot.withheld)

    def _next_end(self) -> float:
        """Frees what ends next, and all that ends with it."""
        at = self._ends[0][0]
        while self._ends and self._ends[0][0] <= at:
            _, cluster, nodes = heapq.heappop(self._ends)
            if cluster in self._free:
                total = self._snapshot.clusters[cluster].total
                self._free[cluster] = min(total, self._free[cluster] + nodes)
        return at

    def _remaining(self, held: Held) -> float | None:
        """The time that is known, else the rest of a duration that is longer than the time that it has run."""
        if held.remaining is not None:
            return held.remaining
        longer = [one - held.elapsed for one in held.durations if one > held.elapsed]
        if longer:
            return self._draw.choice(longer)
        return 0.0 if held.durations else None
