"""Finds runs that go on, and are paid for, though no training knows them. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from mitorch_service.backends.optional import LiveRun
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.models.status import ACTIVE
from mitorch_service.models.training import Attempt, TrainingRow, run_of

SETTLES = timedelta(minutes=5)  # in which a run ends that has reported its end, or a pass records a submission
_HOUR = timedelta(hours=1)
Owners = Mapping[str, TrainingRow | None]  # by training id; None: its document cannot be read


@dataclass(frozen=True)
class Leak:
    """A run that goes on though no training has it as its current attempt."""

    run_name: str
    cluster: str
    reason: str
    since: datetime | None  # None: nobody knows
    nodes: int
    price: float  # of a node for an hour
    is_ours: bool  # whether its training is in this database: else it may be another service's, and is left alone

    def age(self, now: datetime) -> timedelta | None:
        """Returns how long it has gone on so; None if nobody knows."""
        return None if self.since is None else max(timedelta(0), now - self.since)

    def cost(self, now: datetime) -> float:
        """Returns its cost since then, in the currency of the clusters' prices."""
        age = self.age(now)
        return 0.0 if age is None else age / _HOUR * self.nodes * self.price


def current_runs(active: Sequence[TrainingRow]) -> dict[str, TrainingRow]:
    """Returns the active trainings by the names of their runs."""
    return {attempt.run_name: row for row in active if (attempt := row.current_attempt()) is not None}


def orphan_names(live: Mapping[str, Sequence[LiveRun]], active: Sequence[TrainingRow]) -> dict[str, str]:
    """Returns the runs of which none is the current attempt of an active training, each with its training's id."""
    current = current_runs(active)
    names = [run.name for runs in live.values() for run in runs if run.name not in current]
    return {name: run[0] for name in names if (run := run_of(name)) is not None}


def find_leaks(
    now: datetime,
    live: Mapping[str, Sequence[LiveRun]],
    owners: Owners,
    clusters: Mapping[str, Cluster],
    orphans: Container[str],
) -> list[Leak]:
    """Returns the leaks among the runs that clusters have, oldest first. `orphans`: names of `orphan_names`; `owners`:
    their trainings, read after the runs; one that is missing is not in the database."""
    suspects = {cluster: [run for run in runs if run.name in orphans] for cluster, runs in live.items()}
    found = [leak for name, runs in suspects.items() for leak in _leaks_of(name, runs, owners, clusters.get(name))]
    # A time to come was written by a clock that is ahead: better to tell too early than too late.
    settled = [leak for leak in found if leak.since is None or not timedelta(0) <= now - leak.since < SETTLES]
    return sorted(settled, key=lambda leak: (leak.since is None, leak.since or now, leak.run_name))


def leak_fields(leak: Leak, now: datetime) -> dict[str, JsonValue]:
    """Returns a leak as logs and programs read it."""
    age = leak.age(now)
    return {
        "run": leak.run_name,
        "cluster": leak.cluster,
        "reason": leak.reason,
        "minutes": None if age is None else round(age.total_seconds() / 60),
        "nodes": leak.nodes,
        "cost": round(leak.cost(now), 2),
        "ours": leak.is_ours,
    }


def leaks_to_cancel(now: datetime, leaks: Sequence[Leak], clusters: Mapping[str, Cluster]) -> list[Leak]:
    """Returns those that are certainly ours, and older than their cluster's settings let them become."""
    return [leak for leak in leaks if leak.is_ours and _is_over(leak.age(now), clusters.get(leak.cluster))]


def _is_over(age: timedelta | None, facts: Cluster | None) -> bool:
    limit = None if facts is None else facts.cancel_leaks_after
    return age is not None and limit is not None and age >= timedelta(seconds=limit)


def _leaks_of(cluster: str, runs: Sequence[LiveRun], owners: Owners, facts: Cluster | None) -> Iterator[Leak]:
    for run in runs:
        found = run_of(run.name)
        if found is None:
            continue
        id, number = found
        if id not in owners:
            reason = "this database has no such training: it was deleted, or belongs to another service"
            yield _leak(cluster, run, reason, run.since, facts, is_ours=False)
            continue
        row = owners[id]
        attempt = None if row is None else _attempt(row, number)
        if row is not None and row.status in ACTIVE and row.attempt <= number:
            continue  # it is its current attempt after all, or will be
        since = run.since if attempt is None or attempt.ended_at is None else attempt.ended_at
        yield _leak(cluster, run, _reason(row, number), since, facts, attempt=attempt)


def _leak(
    cluster: str,
    run: LiveRun,
    reason: str,
    since: datetime | None,
    facts: Cluster | None,
    attempt: Attempt | None = None,
    is_ours: bool = True,
) -> Leak:
    price = facts.price if facts is not None else 0.0
    if attempt is not None and attempt.price is not None:
        price = attempt.price
    return Leak(run.name, cluster, reason, since, run.nodes, price, is_ours)


def _attempt(row: TrainingRow, number: int) -> Attempt | None:
    return row.attempts[number - 1] if number <= len(row.attempts) else None


def _reason(row: TrainingRow | None, number: int) -> str:
    if row is None:
        return "the document of its training cannot be read"
    if row.attempt > number:
        return f"its attempt was given up, and attempt {row.attempt} has followed"
    return f"its attempt has ended, and its training is {row.status}"
