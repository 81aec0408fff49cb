"""The state of the service: clusters, the controller, failures, costs, and what needs a person."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from mitorch_service.insights.daily_cost import DailyCost
from mitorch_service.insights.service_status import ServiceStatus
from mitorch_service.models.heartbeat import missing_controller
from mitorch_service.viewer.charts.day_bars import day_bars
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.live.service import watch_of
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)


@router.get("/status")
def show(request: Request, context: Given) -> HTMLResponse:
    reading = watch_of(context).read()
    status, now = reading.status, context.clock()
    missing = missing_controller(status.controller, now)
    prices = {one.name: one for one in context.settings.clusters}
    cost = reading.cost.value
    return render(
        request,
        "status.html",
        title=_title(status, missing),
        status=status,
        missing=missing,
        interval=status.controller.interval() if status.controller else timedelta(0),
        prices=prices,
        ages=reading.ages,
        failures=reading.failures,
        cost=reading.cost,
        priced=cost is not None and cost.total.cost > 0,
        bars=_bars(cost),
        troubles=_troubles(status),
    )


def _title(status: ServiceStatus, missing: str | None) -> str:
    if missing is not None:
        return "No controller"
    refusing = sum(one.refusal is not None or one.capacity is None for one in status.clusters.values())
    if refusing:
        return f"{refusing} of {len(status.clusters)} clusters need attention"
    return f"{status.counts.get('running', 0)} running on {len(status.clusters)} clusters"


def _troubles(status: ServiceStatus) -> int:
    leaks = len(status.leaks) + sum(one.unexplained > 0 for one in status.clusters.values())
    return leaks + len(status.withheld) + len(status.undelivered) + len(status.unheard) + len(status.unreadable)


def _bars(cost: DailyCost | None) -> object:
    if cost is None or not cost.total.node_hours:
        return None
    priced = cost.total.cost > 0
    return day_bars([(day, one.cost if priced else one.node_hours) for day, one in cost.by_day], "" if priced else " h")
