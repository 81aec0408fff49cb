"""Curves as charts need them: thinned, many at once, and what is added to them as it comes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import anyio
from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from mitorch_service.errors import InvalidInput, MiTorchError, Problem
from mitorch_service.insights.training.curves import MOST_CURVES, MOST_POINTS, Axis, Curve, CurveRequest, read_curves
from mitorch_service.viewer.api.responses import MaskedJSONResponse, plain
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.live.events import EVENT_HEADERS, event, shared_reads

router = api_router("curves")
_POINTS = 800
_LIVE_POINTS = 200  # of one curve in one event
ANSWER_SECONDS = 0.5  # after which no further curve is read for one answer
_SECONDS = 1.0
_SILENT_SECONDS = 15.0  # after which a comment tells that the stream lives

Ids = Annotated[str, Query(max_length=40 * MOST_CURVES, description="Whole ids of trainings, with commas between.")]
Measures = Annotated[str, Query(max_length=4000, description="Measures, with commas between; none: all.")]


class SeriesAnswer(BaseModel):
    """One measure of one training."""

    measure: str = Field(description="`train_loss`, `val_loss`, or the name of a metric.")
    x: list[float] = Field(description="Epochs, hours of run time, or cost.")
    y: list[float | None] = Field(description="Values; null where it was not measured or is not finite.")


class CurveAnswer(BaseModel):
    """The curves of one training."""

    training_id: str = Field(description="A GUID.")
    label: str = Field(description="For a legend.")
    status: str = Field(description="Of the training.")
    epochs: int = Field(description="The last epoch that is recorded.")
    every: int = Field(description="1: all epochs were read; of a very long curve about each so many.")
    has_ended: bool = Field(description="Whether nothing more will come.")
    series: list[SeriesAnswer] = Field(description="Those that have values.")


class CurvesAnswer(BaseModel):
    """The curves of several trainings."""

    curves: list[CurveAnswer] = Field(description="In the order of the ids.")
    unread: list[str] = Field(description="Ids for which this answer had no time: ask for them in the next request.")


@router.get("/curves", summary="Curves of up to 100 trainings", response_model=CurvesAnswer)
def get_curves(
    context: Given,
    ids: Ids,
    measures: Measures = "",
    x: Annotated[Axis, Query(description="What they are drawn over.")] = "epoch",
    points: Annotated[int, Query(ge=4, le=MOST_POINTS, description="Of one curve, at most.")] = _POINTS,
) -> MaskedJSONResponse:
    """Thinned to so many points: of each column of a chart the lowest and the highest value. Many long curves come in
    several answers: see `unread`."""
    request, begin = CurveRequest(_split(ids), _split(measures), x, points), time.monotonic()
    with context.reading() as store:
        curves = read_curves(store, request, lambda: time.monotonic() - begin < ANSWER_SECONDS)
    unread = request.ids[len(curves) :]
    return MaskedJSONResponse({"curves": [_document(curve) for curve in curves], "unread": unread})


@router.get("/events/curves", summary="What is added to curves", response_class=StreamingResponse)
async def follow_curves(
    request: Request,
    context: Given,
    ids: Ids,
    measures: Measures = "",
    x: Annotated[Axis, Query(description="What they are drawn over.")] = "epoch",
    after: Annotated[str, Query(max_length=2000, description="The last known epoch of each id, with commas.")] = "",
) -> StreamingResponse:
    """A stream of server-sent events. Each `curves` brings the epochs that are new; its id is a position from which
    the stream goes on after a break (`Last-Event-ID`). `end`: all have ended."""
    wanted = _split(ids)
    if not 0 < len(wanted) <= MOST_CURVES:
        raise InvalidInput("ids", [Problem("", f"name 1 to {MOST_CURVES} trainings")])
    known = _positions(wanted, request.headers.get("last-event-id") or after)
    follower = _Follower(context, wanted, _split(measures), x, known)
    return StreamingResponse(follower.events(request), media_type="text/event-stream", headers=EVENT_HEADERS)


class _Follower:
    """Looks once a second for epochs that a client has not got."""

    def __init__(
        self, context: Context, ids: Sequence[str], measures: Sequence[str], axis: Axis, known: dict[str, int]
    ) -> None:
        self._context = context
        self._ids = ids
        self._open = list(ids)  # those that have not ended: the others are not read again
        self._measures = measures
        self._axis: Axis = axis
        self._known = known

    async def events(self, request: Request) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        silent = 0.0
        while not await request.is_disconnected():
            try:
                curves = [await self._read(request, id) for id in self._open]
            except MiTorchError as error:
                yield event("problem", json.dumps(plain({"error": str(error)})))
                await anyio.sleep(5 * _SECONDS)
                continue
            new = [curve for curve in curves if curve.series or curve.epochs > self._known[curve.training_id]]
            self._known |= {curve.training_id: max(curve.epochs, self._known[curve.training_id]) for curve in new}
            self._open = [curve.training_id for curve in curves if not curve.has_ended]
            if new:
                yield event("curves", json.dumps(plain([_document(curve) for curve in new])), self._position())
                silent = 0.0
            if not self._open:
                yield event("end", "{}", self._position())
                return
            if silent >= _SILENT_SECONDS:
                yield ": still here\n\n"
                silent = 0.0
            await anyio.sleep(_SECONDS)
            silent += _SECONDS

    async def _read(self, request: Request, id: str) -> Curve:
        after = self._known[id]
        key = ("curve", id, after, tuple(self._measures), self._axis)
        return await shared_reads(request).read(key, lambda: self._read_now(id, after))

    def _read_now(self, id: str, after: int) -> Curve:
        with self._context.reading() as store:
            (curve,) = read_curves(store, CurveRequest([id], self._measures, self._axis, _LIVE_POINTS, {id: after}))
            return curve

    def _position(self) -> str:
        return ",".join(str(self._known[id]) for id in self._ids)


def _positions(ids: Sequence[str], text: str) -> dict[str, int]:
    numbers = text.split(",")
    if len(numbers) != len(ids) or not all(number.isdigit() and len(number) < 10 for number in numbers):
        return dict.fromkeys(ids, 0)
    return dict(zip(ids, map(int, numbers), strict=True))


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(part for part in text.split(",") if part))


def _document(curve: Curve) -> dict[str, object]:
    series = [{"measure": one.measure, "x": list(one.x), "y": list(one.y)} for one in curve.series]
    return {
        "training_id": curve.training_id,
        "label": curve.label,
        "status": curve.status,
        "epochs": curve.epochs,
        "every": curve.every,
        "has_ended": curve.has_ended,
        "series": series,
    }
