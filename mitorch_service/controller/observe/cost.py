"""The cost of trainings: node hours of their attempts, times the price of a node when each was claimed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Attempt
from mitorch_service.stores.verbs.costs import Account

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Cost:
    """Node hours, and their cost in the currency of the clusters' prices."""

    node_hours: float = 0.0
    cost: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.node_hours + other.node_hours, self.cost + other.cost)


@dataclass
class Bill:
    """Costs by cluster, by day and by job; a training without a job is billed under the job None."""

    by_cluster: dict[str, Cost] = field(default_factory=dict)
    by_day: dict[date, Cost] = field(default_factory=dict)  # UTC
    by_job: dict[str | None, Cost] = field(default_factory=dict)
    total: Cost = Cost()

    def add(self, account: Account, now: datetime) -> None:
        """Adds one training."""
        job_id = account.job_id if account.refit is None else account.refit.job_id
        for attempt in account.attempts:
            cost = attempt_cost(attempt, now)
            self.total += cost
            self.by_cluster[attempt.cluster] = self.by_cluster.get(attempt.cluster, Cost()) + cost
            self.by_job[job_id] = self.by_job.get(job_id, Cost()) + cost
            for day, part in cost_by_day(attempt, now):
                self.by_day[day] = self.by_day.get(day, Cost()) + part


def training_cost(attempts: Iterable[Attempt], now: datetime) -> Cost:
    """Returns the cost of all attempts until now."""
    return sum((attempt_cost(attempt, now) for attempt in attempts), Cost())


def attempt_cost(attempt: Attempt, now: datetime) -> Cost:
    """Returns its cost from its start to its end, or until now. Waiting for a node costs nothing; an attempt that ended
    without having reported its start, other than one that was canceled, is billed from its submission."""
    begin, end = run_time(attempt, now)
    return _priced(attempt, end - begin)


def cost_by_day(attempt: Attempt, now: datetime) -> Iterator[tuple[date, Cost]]:
    """Yields its cost on each day (UTC) on which it ran."""
    begin, end = run_time(attempt, now)
    while begin < end:
        midnight = datetime.combine(begin.date() + timedelta(days=1), time(), UTC)
        yield begin.date(), _priced(attempt, min(midnight, end) - begin)
        begin = midnight


def run_time(attempt: Attempt, now: datetime) -> tuple[datetime, datetime]:
    """Returns when the time that is billed began, and when it ended or now."""
    begin = attempt.started_at
    if begin is None and attempt.ended_at is not None and attempt.outcome != AttemptOutcome.CANCELED:
        begin = attempt.submitted_at
    end = now if attempt.ended_at is None else attempt.ended_at
    return (end, end) if begin is None else (begin, max(begin, end))


def _priced(attempt: Attempt, time: timedelta) -> Cost:
    node_hours = time / _HOUR * attempt.nodes
    return Cost(node_hours, node_hours * (attempt.price or 0.0))
