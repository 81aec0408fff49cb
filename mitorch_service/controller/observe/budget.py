"""Adds up the cost of a job with a budget, without reading all its trials in every pass.

The cost of the trials from the first to the last before one that has not ended is settled: it is stored in the job, in
one guarded step, so that a pass that dies, or overlaps another, stores nothing or the right sum. A pass reads the
trials behind them. If fewer of these are open than of the whole job, a settled one was retried: all are read again.
"""

from __future__ import annotations

from datetime import datetime

from mitorch_service.controller.observe.cost import training_cost
from mitorch_service.models.search.job import Job, SettledCost
from mitorch_service.models.status import ENDED
from mitorch_service.stores.base import Store


def job_cost(store: Store, job: Job, open_count: int, now: datetime) -> tuple[float, SettledCost]:
    """Returns the cost of all trials until now, and its settled part, in the currency of the clusters' prices.
    `open_count`: the number of trials that had not ended when they were counted, before."""
    cost, settled, seen = _add_up(store, job, job.settled or SettledCost(), now)
    if seen < open_count and job.settled is not None:
        cost, settled, _ = _add_up(store, job, SettledCost(), now)
    return cost, settled


def _add_up(store: Store, job: Job, settled: SettledCost, now: datetime) -> tuple[float, SettledCost, int]:
    """The whole cost, its settled part, and the number of open trials behind the settled ones."""
    unsettled, seen = 0.0, 0
    for page in store.costs.account_pages(job.arrival + settled.below, job.id):
        for account in page.items:
            cost = training_cost(account.attempts, now).cost
            ended = account.status in ENDED
            seen += not ended
            if ended and seen == 0:
                # a trial's arrival is its job's plus its number
                settled = SettledCost(below=account.arrival - job.arrival + 1, cost=settled.cost + cost)
            else:
                unsettled += cost
    return settled.cost + unsettled, settled, seen
