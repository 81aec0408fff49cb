"""The list of searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.search.job_list import JobLine, Key, read_job_page
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE_JOBS
from mitorch_service.viewer.charts.status_bar import status_bar
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)


@router.get("/jobs")
def show(
    request: Request,
    context: Given,
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=80)] = "",
) -> HTMLResponse:
    """A page of them, newest first; `q`: a name, or a part of one."""
    with context.reading() as store:
        page = read_job_page(store, q.strip(), _key(after))
    active = sum(line.job.status in ACTIVE_JOBS for line in page.lines)
    further = (
        urlencode({**({"q": q} if q else {}), "after": f"{page.after[0]}.{page.after[1]}"}) if page.after else None
    )
    return render(
        request,
        "jobs.html",
        title=f"{active} running · Searches" if active else "Searches",
        page=page,
        q=q,
        is_first=not after,
        further=further,
        bars={line.job.id: status_bar(line.counts, share_of(line.job, line.counts)) for line in page.lines},
        done={line.job.id: done_of(line) for line in page.lines},
    )


def done_of(line: JobLine) -> int:
    """The trials that have ended."""
    return sum(n for status, n in line.counts.items() if status not in ("new", "queued", "running"))


def share_of(job: Job, counts: Mapping[str, int]) -> float:
    """The share of the trials that there may be which there are; of an ended search there will be no others."""
    return min(1.0, sum(counts.values()) / job.search.max_trials) if job.status in ACTIVE_JOBS else 1.0


def _key(text: str) -> Key | None:
    arrival, _, id = text.partition(".")
    if not text:
        return None
    if not arrival.isdigit() or len(arrival) > 18:
        raise InvalidInput("after", [Problem(text, "is no place in this list: begin again without it")])
    return int(arrival), id
