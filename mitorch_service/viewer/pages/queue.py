"""The first page: what runs, what waits and why, what has ended."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from mitorch_service.insights.queue import read_queue
from mitorch_service.stores.trainings import TrainingFilter
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)
_ROWS = 50


@router.get("/")
def show(request: Request, context: Given) -> HTMLResponse:
    """The queue."""
    with context.reading() as store:
        report = read_queue(store, TrainingFilter(), _ROWS)
    counts = dict(report.matches.by_status or {})
    return render(request, "queue.html", rows=report.trainings, counts=counts, total=report.matches.total)
