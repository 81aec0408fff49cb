"""Prints costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TypeVar

import click

from mitorch_service.cli.views.pages.output import show_json, show_page, show_table
from mitorch_service.cli.views.pages.page import Column, Lines, Page
from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.cost import CostReport, cost_json, hours_text
from mitorch_service.wording.counted import are, counted

_SHOWN_JOBS = 20

Name = TypeVar("Name", str, date, str | None)


def show_costs(report: CostReport) -> None:
    """Prints node hours and costs by cluster, day and job."""
    bill = report.bill
    priced = bill.total.cost > 0
    what = "cost" if priced else "node hours"
    _show_part(f"{what} by cluster", "cluster", sorted(bill.by_cluster.items()), priced)
    _show_part(f"{what} by day", "day UTC", sorted(bill.by_day.items()), priced)
    jobs = [(job or "none", cost) for job, cost in report.jobs()[:_SHOWN_JOBS]]
    _show_part(f"{what} by job, the {_SHOWN_JOBS} with the most", "job", jobs, priced)
    total = f"{hours_text(bill.total.node_hours)} node hours"
    total = f"{bill.total.cost:.2f} for {total}" if priced else f"{total} (no price is set in MITORCH_CLUSTERS)"
    show_page(Page([Lines([f"{total} of what was submitted since {report.since:%Y-%m-%d %H:%M} UTC"])]))
    if report.unreadable:
        click.echo(
            f"{counted(report.unreadable, 'training')} cannot be read and {are(report.unreadable)} left out", err=True
        )


def show_costs_json(report: CostReport) -> None:
    """Prints the same as one JSON document, with all jobs."""
    bill = report.bill
    show_json(
        {
            "since": report.since,
            "clusters": _part_json(bill.by_cluster),
            "days": _part_json(bill.by_day),
            "jobs": _part_json(bill.by_job),
            "total": cost_json(bill.total),
            "unreadable": report.unreadable,
        }
    )


def _show_part(title: str, column: str, costs: Iterable[tuple[object, Cost]], priced: bool) -> None:
    """`priced`: else there is nothing to tell beside the time."""
    rows = [(name, hours_text(cost.node_hours), f"{cost.cost:.2f}")[: 2 + priced] for name, cost in costs]
    show_table(title, (Column(column), Column("node hours"), Column("cost"))[: 2 + priced], rows)


def _part_json(costs: Mapping[Name, Cost]) -> dict[str, object]:
    return {str(name): cost_json(cost) for name, cost in costs.items()}
