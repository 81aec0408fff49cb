"""The trials of a search as charts need them, and what happens to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence

import anyio
from anyio import to_thread
from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from mitorch_service.errors import MiTorchError, QueryTimedOut
from mitorch_service.insights.search.leaderboard import read_leaderboard
from mitorch_service.insights.search.search_columns import Column
from mitorch_service.insights.search.search_history import TrialPoint
from mitorch_service.insights.search.search_view import SearchView
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED, ENDED_JOBS
from mitorch_service.viewer.api.parameters import Id, resolve
from mitorch_service.viewer.api.responses import MaskedJSONResponse, plain
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.live.events import EVENT_HEADERS, event, shared_reads
from mitorch_service.viewer.live.search_views import search_views

router = api_router("jobs")
_PATIENT = 20.0
_SECONDS = 2.0
_SILENT = 8  # looks without anything to tell, after which a comment says that the stream lives


class ColumnAnswer(BaseModel):
    """One parameter."""

    name: str = Field(description="Its dotted path in the config.")
    low: float = Field(description="The lowest value of its range.")
    high: float = Field(description="The highest value of its range.")
    log: bool = Field(description="Whether its range is logarithmic.")
    integer: bool = Field(description="Whether its values are whole numbers.")
    options: list[str] = Field(description="Of a choice its options; empty for a number.")
    conditional: bool = Field(description="Whether some trials do not have it.")
    values: list[float | None] = Field(
        description="For each trial: a number, the position of its option, or null where it does not have it."
    )


class TrialsAnswer(BaseModel):
    """The latest trials, column by column, by number."""

    whole: bool = Field(description="False: there are more than 10,000, and these are the latest.")
    objectives: list[str] = Field(description="The names of what is optimised.")
    directions: list[str] = Field(description="minimize or maximize, for each objective.")
    numbers: list[int] = Field(description="Of each trial its number; `/jobs/ID/trials/NUMBER` leads to it.")
    statuses: list[str] = Field(description="The statuses that occur.")
    status: list[int] = Field(description="Of each trial the position in `statuses`.")
    values: list[list[float | None]] = Field(description="For each objective the value of each trial, or null.")
    reached: list[float | None] = Field(description="The best that a trial without a value has reached, or null.")
    epochs: list[int] = Field(description="That each trial has run.")
    reasons: dict[str, str] = Field(description="Trial number -> why it failed.")
    front: list[int] = Field(description="Numbers of the Pareto front, of several objectives.")
    columns: list[ColumnAnswer] = Field(description="The parameters.")


class ShareAnswer(BaseModel):
    """The importance of one parameter."""

    parameter: str = Field(description="Its dotted path, with a number where two options have different ones.")
    share: float = Field(description="Of the variation: the mean over the resamples.")
    low: float = Field(description="The lowest of the resamples.")
    high: float = Field(description="The highest of the resamples.")


class ImportanceAnswer(BaseModel):
    """The importance of the parameters (fANOVA) with its spread over bootstrap resamples."""

    computing: bool = Field(description="Whether a newer one is being computed: ask again in some seconds.")
    resamples: int = Field(description="How many resamples there was time for; 0: not known.")
    results: int = Field(description="How many trials had a value.")
    objectives: dict[str, list[ShareAnswer]] = Field(description="The highest share first.")


@router.get("/jobs/{id}/trials", summary="The trials of a search", response_model=TrialsAnswer)
def get_trials(request: Request, context: Given, id: Id) -> MaskedJSONResponse:
    """At most the latest 10,000. They are read once and kept until something changes."""
    return MaskedJSONResponse(_document(_view(request, context, id)))


@router.get("/jobs/{id}/importance", summary="The importance of a search's parameters", response_model=ImportanceAnswer)
def get_importance(request: Request, context: Given, id: Id) -> MaskedJSONResponse:
    """Computed in the background: what is known now."""
    view = _view(request, context, id)
    found, computing = search_views(request).importance(view.job.id)
    shares = found.shares if found else {}
    objectives = {
        name: [
            {"parameter": key, "share": round(one.share, 4), "low": round(one.low, 4), "high": round(one.high, 4)}
            for key, one in of.items()
        ]
        for name, of in shares.items()
    }
    resamples, results = (found.resamples, found.results) if found else (0, 0)
    return MaskedJSONResponse(
        {"computing": computing, "resamples": resamples, "results": results, "objectives": objectives}
    )


@router.get("/events/jobs/{id}", summary="What happens to a search", response_class=StreamingResponse)
async def follow_job(request: Request, context: Given, id: Id) -> StreamingResponse:
    """A stream of server-sent events: `state` when status or counts change, `importance` when it has been computed,
    `end` when the search has ended."""
    whole = await to_thread.run_sync(lambda: _whole(context, id))
    return StreamingResponse(_events(request, context, whole), media_type="text/event-stream", headers=EVENT_HEADERS)


async def _events(request: Request, context: Context, id: str) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    told: dict[str, object] = {}
    weighed, silent = 0, 0
    views = search_views(request)
    while not await request.is_disconnected():
        silent += 1
        try:
            state = await shared_reads(request).read(("job", id), lambda: _state(context, id))
        except MiTorchError as error:
            yield event("problem", json.dumps(plain({"error": str(error)})))
            return
        if state != told:
            told, silent = state, 0
            yield event("state", json.dumps(plain(state)))
        found, computing = views.importance(id)
        if found is not None and found.results != weighed:
            weighed, silent = found.results, 0
            yield event("importance", json.dumps({"results": weighed}))
        if state["ended"] and not computing:
            yield event("end", "{}")
            return
        if silent and silent % _SILENT == 0:
            yield ": still here\n\n"
        await anyio.sleep(_SECONDS)


def _state(context: Context, id: str) -> dict[str, object]:
    with context.reading() as store:
        job, counts = store.jobs.get_job(id), store.trainings.count_trainings(id)
        best = read_leaderboard(store, job, 1) if len(job.search.objectives()) == 1 else []
    return {
        "status": job.status.value,
        "counts": counts,
        "done": sum(counts.get(status, 0) for status in ENDED),
        "max_trials": job.search.max_trials,
        "best": best[0].values[0] if best else None,
        "best_trial": best[0].number if best else None,
        "name": job.name or job.id[:8],
        "ended": job.status in ENDED_JOBS,
    }


def _whole(context: Context, id: str) -> str:
    with context.reading() as store:
        return resolve(store, "job", id).id


def _view(request: Request, context: Context, id: str) -> SearchView:
    with context.reading() as store:
        job: Job = store.jobs.get_job(resolve(store, "job", id).id)
        counts = store.trainings.count_trainings(job.id)
    view = search_views(request).view(context, job, counts, _PATIENT)
    if view is None:
        raise QueryTimedOut(f"search {job.id}", _PATIENT)
    return view


def _document(view: SearchView) -> dict[str, object]:
    trials = view.trials
    statuses = sorted({trial.status.value for trial in trials})
    place = {status: index for index, status in enumerate(statuses)}
    objectives = view.job.search.objectives()
    return {
        "whole": view.is_whole,
        "objectives": list(objectives),
        "directions": list(view.job.search.directions()),
        "numbers": [trial.number for trial in trials],
        "statuses": statuses,
        "status": [place[trial.status.value] for trial in trials],
        "values": [_short([_value(trial, index) for trial in trials], 7) for index in range(len(objectives))],
        "reached": _short([None if trial.values else trial.reached for trial in trials], 7),
        "epochs": [trial.epochs for trial in trials],
        "reasons": {str(trial.number): trial.reason[:300] for trial in trials if trial.reason},
        "front": sorted(view.front),
        "columns": [_column(column) for column in view.columns],
    }


def _column(column: Column) -> dict[str, object]:
    return {
        "name": column.name,
        "low": column.low,
        "high": column.high,
        "log": column.log,
        "integer": column.integer,
        "options": list(column.options),
        "conditional": column.conditional,
        "values": _short(column.values, 5),
    }


def _value(trial: TrialPoint, index: int) -> float | None:
    return trial.values[index] if index < len(trial.values) else None


def _short(values: Sequence[float | None], digits: int) -> list[float | int | None]:
    """With as many digits as are seen: a third of the bytes."""
    return [_rounded(value, digits) for value in values]


def _rounded(value: float | None, digits: int) -> float | int | None:
    if value is None:
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e9 else short
