"""Node hours and costs of a job, and of everything submitted since a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.controller.observe.cost import Bill, Cost, training_cost
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.costs import Account

MAX_SUMMED_TRIALS = 10_000  # whose attempts are read to add up one job: under a second


@dataclass(frozen=True)
class CostReport:
    """Costs by cluster, day and job."""

    since: datetime
    bill: Bill
    unreadable: int  # trainings left out because their documents are broken

    def jobs(self) -> list[tuple[str | None, Cost]]:
        """Costs by job, the most expensive first; None: trainings without a job."""
        return sorted(self.bill.by_job.items(), key=lambda item: (-item[1].cost, -item[1].node_hours))


def read_costs(store: Store, since: datetime, now: datetime) -> CostReport:
    """Adds up every training submitted since then, in pages of a thousand by the index on arrival (some 30,000 a
    second)."""
    bill = Bill()
    unreadable = 0
    for page in store.costs.account_pages(int(since.timestamp() * 1e6)):
        unreadable += len(page.broken)
        for account in page.items:
            bill.add(account, now)
    return CostReport(since, bill, unreadable)


def accounts_of_job(store: Store, job_id: str, arrival: int, trials: int) -> list[Account] | None:
    """The accounts of all trials of a job; None if there are more than MAX_SUMMED_TRIALS."""
    if trials > MAX_SUMMED_TRIALS:
        return None
    return [account for page in store.costs.account_pages(arrival, job_id) for account in page.items]


def cost_of_job(accounts: Iterable[Account] | None, final: TrainingRow | None, now: datetime) -> Cost | None:
    """The cost of a job's trials and its final training until now; None if the accounts are not known."""
    if accounts is None:
        return None
    start = Cost() if final is None else training_cost(final.attempts, now)
    return sum((training_cost(account.attempts, now) for account in accounts), start)


def cost_fields(cost: Cost | None) -> list[tuple[str, object]]:
    """The cost of one training or job; None: it was not added up."""
    if cost is None:
        return [("cost", f"not added up: more than {MAX_SUMMED_TRIALS} trials; see micontrol status --cost")]
    return [("node hours", hours_text(cost.node_hours)), ("cost", f"{cost.cost:.2f}" if cost.cost else None)]


def hours_text(hours: float) -> str:
    """``12.34``, ``0.0035``: two decimals, or two digits of what is less."""
    return f"{hours:.2f}" if hours >= 0.1 or not hours else f"{hours:.2g}"


def cost_json(cost: Cost | None) -> dict[str, float | None]:
    """Formats a cost for JSON."""
    if cost is None:
        return {"node_hours": None, "cost": None}
    return {"node_hours": cost.node_hours, "cost": cost.cost}
