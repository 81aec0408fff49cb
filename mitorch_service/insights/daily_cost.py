"""Node hours and costs day by day, of as many days as can be added up soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.cost import read_costs
from mitorch_service.stores.base import Store

_DAYS = (30, 7, 1)
_MOST = 100_000  # trainings that are added up: some 3 s


@dataclass(frozen=True)
class DailyCost:
    """The costs of what was submitted in the last days."""

    days: int
    by_day: Sequence[tuple[date, Cost]]  # UTC, every day, oldest first
    by_cluster: Sequence[tuple[str, Cost]]  # the most expensive first
    total: Cost


def read_daily_cost(store: Store, now: datetime) -> DailyCost:
    """Adds up 30 days, or fewer where more than 100,000 trainings were submitted in them."""
    days = next((days for days in _DAYS if _count(store, now, days) <= _MOST), _DAYS[-1])
    bill = read_costs(store, now - timedelta(days=days), now).bill
    dates = [now.date() - timedelta(days=back) for back in range(days, -1, -1)]
    clusters = sorted(bill.by_cluster.items(), key=lambda item: (-item[1].cost, -item[1].node_hours))
    return DailyCost(days, [(day, bill.by_day.get(day, Cost())) for day in dates], clusters, bill.total)


def _count(store: Store, now: datetime, days: int) -> int:
    return store.costs.count_since(int((now - timedelta(days=days)).timestamp() * 1e6))
