"""The page of one search: how far it is, what it has found, and its trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.controller.observe.refit import read_refit
from mitorch_service.controller.plan.search.refit import RefitState
from mitorch_service.errors import NotFound
from mitorch_service.insights.search.search_columns import Column, columns
from mitorch_service.insights.search.search_findings import importance_finding
from mitorch_service.insights.search.search_history import TrialPoint
from mitorch_service.insights.search.search_view import Importance, SearchView
from mitorch_service.insights.search.trial_table import PAGE, TrialPage, sorted_page
from mitorch_service.models.config.script import masked_config
from mitorch_service.models.search.job import Job, trial_id
from mitorch_service.models.status import ACTIVE_JOBS, ENDED, ENDED_JOBS, RETRYABLE, TrainingStatus
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store
from mitorch_service.viewer.charts.search_charts import best_so_far, importance_bars
from mitorch_service.viewer.charts.status_bar import status_bar
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.live.search_views import search_views
from mitorch_service.viewer.pages.jobs import share_of
from mitorch_service.viewer.pages.search_parts import Parts, read_parts
from mitorch_service.viewer.pages.templates import render
from mitorch_service.wording.elapsed import duration_text

router = APIRouter(include_in_schema=False)
_WAIT = 0.15  # seconds, for the trials; what takes longer comes when it is there
_PATIENT = 20.0
_AT_ONCE = 1000  # trials of which all charts are part of the page
_COMPARED = 5
_OVER = (("results", "Results"), ("hours", "Time"), ("cost", "Cost"))

Sort = Annotated[str, Query(max_length=400)]
Name = Annotated[str, Query(max_length=400)]


class Budget(NamedTuple):
    """A limit of the search, and how much of it is used."""

    name: str
    used: str
    of: str
    share: float  # 0 to 1


@dataclass(frozen=True)
class Read:
    """The documents and the view that the page shows."""

    job: Job
    counts: Mapping[str, int]
    final: RefitState | None
    leaders: Sequence[TrialPoint]  # by the index, for the time until all trials are read
    view: SearchView | None
    importance: Importance | None
    is_weighing: bool


@router.get("/jobs/{id}")
def show(
    request: Request,
    context: Given,
    id: str,
    sort: Sort = "value",
    after: int | None = None,
    x: Name = "",
    y: Name = "",
    whole: bool = False,
) -> Response:
    """The search with this id, or the beginning of it. `whole`: with all charts, however many trials there are."""
    with context.reading() as store:
        kind, found = store.trainings.resolve_id(id)
    if kind != "job" or found != id:
        return RedirectResponse(f"/{kind}s/{found}", 303)
    read = _read(request, context, id, _PATIENT if whole else _WAIT, at_once=whole)
    view = read.view
    at_once = view is not None and (whole or len(view.trials) <= _AT_ONCE)
    parts = read_parts(context, view, read.importance, (x, y)) if view is not None and at_once else None
    answer = _render(request, context, read, parts, (sort, after))
    # Reading many trials begins when the page is on its way: it would hold the page up.
    views = search_views(request)
    answer.background = BackgroundTask(views.view, context, read.job, read.counts, 0.0)
    return answer


@router.get("/jobs/{id}/charts")
def show_charts(request: Request, context: Given, id: str, x: Name = "", y: Name = "") -> HTMLResponse:
    """The charts alone, for the page of a search with many trials, and when there is something new. 202: ask again."""
    read = _read(request, context, id, _PATIENT)
    if read.view is None:
        return HTMLResponse("", 202)
    values = _values(request, context, read)
    return render(
        request, "search_charts.html", 200, **values, parts=read_parts(context, read.view, read.importance, (x, y))
    )


@router.get("/jobs/{id}/trials/{number}")
def lead_to_trial(context: Given, id: str, number: int) -> RedirectResponse:
    """The page of the trial with this number."""
    try:
        return RedirectResponse(f"/trainings/{trial_id(id, number)}", 303)
    except ValueError as error:
        raise NotFound("training", f"{id}/{number}") from error


def _read(request: Request, context: Context, id: str, seconds: float, at_once: bool = True) -> Read:
    """`at_once`: whether the reading of a search with many trials may begin now."""
    views = search_views(request)
    with context.reading() as store:
        job = store.jobs.get_job(id)
        counts = store.trainings.count_trainings(id)
        final = read_refit(store, job)
        few = at_once or sum(counts.values()) <= _AT_ONCE
        view = views.view(context, job, counts, seconds) if few else views.known(id)
        leaders = [] if view is not None else _leaders(store, job)
    importance, is_weighing = views.importance(id)
    return Read(job, counts, final, leaders, view, importance, is_weighing)


def _leaders(store: Store, job: Job) -> list[TrialPoint]:
    """The first of the leaderboard; of several objectives of the front that the job's document has."""
    if len(job.search.objectives()) > 1:
        rows = store.fronts.trials_of_front((job.front or [])[:PAGE])
    else:
        rows = store.jobs.best_trials(job.id, job.search.resolved_direction(), PAGE).items
    return [
        TrialPoint(
            number=row.trial.number,
            id=row.id,
            status=row.status,
            values=tuple(row.trial.values or ([] if row.trial.value is None else [row.trial.value])),
            reached=None,
            parameters=row.trial.parameters,
            epochs=row.progress.epoch if row.progress else 0,
            max_epochs=row.max_epochs,
            reason=None,
            ended_at=None,
            cost=Cost(),
        )
        for row in rows
        if row.trial is not None
    ]


def _render(
    request: Request, context: Context, read: Read, parts: Parts | None, table: tuple[str, int | None]
) -> HTMLResponse:
    job, view = read.job, read.view
    sort, after = table
    page = _page(read, sort, after)
    best = _best(read)
    return render(
        request,
        "job.html",
        200,
        **_values(request, context, read),
        title=page_title(job, read.counts, best),
        subject=f"job/{job.id}",
        best=best,
        page=page,
        sort=sort,
        is_first=after is None,
        compared=_compared(read),
        parts=parts,
        front=view.front if view else frozenset(),
        budgets=_budgets(read, context.clock()),
        bar=status_bar(read.counts, share_of(job, read.counts)),
        has_ended=job.status in ENDED_JOBS,
        retried=_retried(read),
        config=json.dumps(masked_config(job.config), indent=2, ensure_ascii=False, default=str),
        search=json.dumps(
            job.search.model_dump(mode="json", exclude_none=True, exclude_defaults=True), indent=2, ensure_ascii=False
        ),
        warm_start=job.search.warm_start,
    )


def _values(request: Request, context: Context, read: Read) -> dict[str, object]:
    """Returns the values that the page and its charts alone have in common."""
    view, importance = read.view, read.importance
    objectives = read.job.search.objectives()
    known: Sequence[Column] = view.columns if view else columns(parse_space(read.job.config)[0], read.leaders)
    return {
        "job": read.job,
        "counts": read.counts,
        "done": sum(read.counts.get(status, 0) for status in ENDED),
        "total": sum(read.counts.values()),
        "final": read.final,
        "view": view,
        "objectives": objectives,
        "directions": read.job.search.directions(),
        "columns": known,
        "histories": [(over, name, best_so_far(view, over)) for over, name in _OVER] if view else [],
        "importance": importance,
        "is_weighing": read.is_weighing,
        "bars": [(name, importance_bars(importance, name)) for name in objectives if importance.shares.get(name)]
        if importance
        else [],
        "findings": _findings(view, importance),
    }


def _findings(view: SearchView | None, importance: Importance | None) -> list[str]:
    if view is None:
        return []
    found = importance.shares if importance else {}
    mattered = (importance_finding(shares, name) for name, shares in found.items())
    return [*view.findings, *(line for line in mattered if line)]


def page_title(job: Job, counts: Mapping[str, int], best: TrialPoint | None) -> str:
    """The state and the progress first, which is what a tab shows."""
    done = sum(counts.get(status, 0) for status in ENDED)
    of = f"{done}/{job.search.max_trials} trials" if job.status in ACTIVE_JOBS else f"{job.status}, {done} trials"
    value = f", best {best.values[0]:.4g}" if best is not None and len(best.values) == 1 else ""
    return f"{of}{value} · {job.name or job.id[:8]}"


def _best(read: Read) -> TrialPoint | None:
    """The best trial of one objective."""
    if len(read.job.search.objectives()) > 1:
        return None
    if read.view is None:
        return read.leaders[0] if read.leaders else None
    return next((one.trial for one in reversed(read.view.improvements) if one.is_best), None)


def _page(read: Read, sort: str, after: int | None) -> TrialPage:
    view = read.view
    if view is None:
        return TrialPage(read.leaders, None)
    return sorted_page(view.trials, view.columns, read.job.search.resolved_direction(), sort, after)


def _compared(read: Read) -> list[str]:
    """The ids of the best trials."""
    view = read.view
    if view is None:
        return [one.id for one in read.leaders[:_COMPARED]]
    if view.front:
        return [one.id for one in view.trials if one.number in view.front][:_COMPARED]
    first = sorted_page(view.trials, (), read.job.search.resolved_direction(), limit=_COMPARED).trials
    return [one.id for one in first if one.values]


def _retried(read: Read) -> int:
    """Counts the trials that a retry of the search would queue again: see `retry_job` in operations/lifecycle.py."""
    if read.job.status not in ACTIVE_JOBS or read.job.search.algorithm == "pbt":
        return 0
    return sum(read.counts.get(status, 0) for status in RETRYABLE if status != TrainingStatus.PAUSED)


def _budgets(read: Read, now: datetime) -> list[Budget]:
    """Used and given: trials, time, cost."""
    job, search = read.job, read.job.search
    total = sum(read.counts.values())
    found = [Budget("Trials", f"{total:,}", f"{search.max_trials:,}", total / search.max_trials)]
    if search.max_time is not None:
        end = job.status_times.get(job.status, now) if job.status in ENDED_JOBS else now
        passed = min(end - job.created_at, timedelta(seconds=search.max_time))
        of = duration_text(timedelta(seconds=search.max_time)) or ""
        found.append(Budget("Time", duration_text(passed) or "", of, passed.total_seconds() / search.max_time))
    if search.max_cost is not None and read.view is not None and read.view.cost is not None:
        spent = read.view.cost.cost
        found.append(Budget("Cost", f"{spent:.4g}", f"{search.max_cost:.4g}", min(spent / search.max_cost, 1.0)))
    return found
