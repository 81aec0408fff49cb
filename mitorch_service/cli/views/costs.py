"""What micontrol status --cost shows, and the cost of one training or job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from mitorch_service.cli.views.output import show_json, show_table
from mitorch_service.controller.observe.cost import Bill, Cost, training_cost
from mitorch_service.errors import InvalidInput
from mitorch_service.models.training import TrainingRow
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.costs import Account
from mitorch_service.wiring import open_store

_SUMMED_TRIALS = 10_000  # whose attempts are read to show one job: under a second
_SHOWN_JOBS = 20


def show_costs(since: str, as_json: bool) -> None:
    """Prints node hours and costs by cluster, day and job. Reads every training that was submitted since then, a
    thousand at a time by the index on arrival (some 30,000 a second), and asks no cluster. Raises InvalidInput."""
    now = datetime.now(UTC)
    begin = now - _age(since)
    bill, broken = Bill(), 0
    for page in open_store(read_settings()).costs.account_pages(int(begin.timestamp() * 1e6)):
        broken += len(page.broken)
        for account in page.items:
            bill.add(account, now)
    if as_json:
        show_json(_json(bill, begin, broken))
        return
    _show_part("by cluster", "cluster", sorted(bill.by_cluster.items()))
    _show_part("by day", "day", sorted(bill.by_day.items()))
    jobs = sorted(bill.by_job.items(), key=lambda item: (-item[1].cost, -item[1].node_hours))
    _show_part(f"by job, the {_SHOWN_JOBS} dearest", "job", [(j or "none", c) for j, c in jobs[:_SHOWN_JOBS]])
    total = f"{bill.total.cost:.2f} for {bill.total.node_hours:.2f} node hours"
    click.echo(f"{total} of what was submitted since {begin:%Y-%m-%d %H:%M} UTC")
    if broken:
        click.echo(f"{broken} trainings cannot be read and are left out", err=True)


def cost_of_training(training: TrainingRow) -> Cost:
    """Until now."""
    return training_cost(training.attempts, datetime.now(UTC))


def accounts_of_job(store: Store, job_id: str, arrival: int, trials: int) -> list[Account] | None:
    """Of all its trials, read by an index; None for a job of so many that it takes too long."""
    if trials > _SUMMED_TRIALS:
        return None
    return [account for page in store.costs.account_pages(arrival, job_id) for account in page.items]


def cost_of_job(accounts: Iterable[Account] | None, final: TrainingRow | None) -> Cost | None:
    """Of its trials and its final training until now; None where they are not known."""
    if accounts is None:
        return None
    now = datetime.now(UTC)
    start = Cost() if final is None else training_cost(final.attempts, now)
    return sum((training_cost(account.attempts, now) for account in accounts), start)


def cost_fields(cost: Cost | None) -> list[tuple[str, Any]]:
    """For a person."""
    if cost is None:
        text = f"not added up: more than {_SUMMED_TRIALS} trials; see micontrol status --cost"
        return [("cost", text)]
    return [("node hours", f"{cost.node_hours:.2f}"), ("cost", f"{cost.cost:.2f}")]


def cost_json(cost: Cost | None) -> dict[str, float | None]:
    """For machines: None where it was not added up."""
    if cost is None:
        return {"node_hours": None, "cost": None}
    return {"node_hours": cost.node_hours, "cost": cost.cost}


def _age(since: str) -> timedelta:
    from mitorch_service.cli.control_prune import parse_age  # and all that it needs, which miquery does not

    try:
        return parse_age(since)
    except InvalidInput as error:
        raise InvalidInput("--since", error.problems) from None


def _show_part(title: str, column: str, costs: Iterable[tuple[Any, Cost]]) -> None:
    rows = [(name, f"{cost.node_hours:.2f}", f"{cost.cost:.2f}") for name, cost in costs]
    show_table(f"cost {title}", (column, "node hours", "cost"), rows)


def _json(bill: Bill, begin: datetime, broken: int) -> dict[str, Any]:
    def part(costs: Mapping[Any, Cost]) -> dict[str, Any]:
        return {str(name): cost_json(cost) for name, cost in costs.items()}

    parts = {"clusters": part(bill.by_cluster), "days": part(bill.by_day), "jobs": part(bill.by_job)}
    return {"since": begin, **parts, "total": cost_json(bill.total), "unreadable": broken}
