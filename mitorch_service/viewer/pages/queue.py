"""The first page: what runs, what waits and why, what has ended."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from mitorch_service.viewer.context import Given
from mitorch_service.viewer.live.queue import queue_watch_of
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)


@router.get("/")
def show(request: Request, context: Given) -> HTMLResponse:
    """The queue."""
    view = queue_watch_of(context).view(getattr(request.state, "may_change", False))
    return render(request, "queue.html", view=view, title=view.title, is_empty=not view.overview.counts)
