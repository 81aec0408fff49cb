"""The events of a training as they happen: changes of its state, and the lines that its log grows by."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import Query, Request
from starlette.responses import StreamingResponse

from mitorch_service.errors import MiTorchError
from mitorch_service.insights.training.growing_text import GrowingText
from mitorch_service.insights.training.run_log import read_log
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import TrainingRow
from mitorch_service.viewer.api.parameters import Id, resolve
from mitorch_service.viewer.api.responses import plain
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.live.events import EVENT_HEADERS, event, shared_reads

router = api_router("trainings")
_SECONDS = 1.0
_LOG_EVERY = 2  # looks: a cloud answers slowly
_SILENT = 15  # looks without anything to tell, after which a comment says that the stream lives
_LONGEST_TEXT = 200_000  # characters of one event


@router.get("/events/trainings/{id}", summary="What happens to a training", response_class=StreamingResponse)
async def follow_training(
    request: Request,
    context: Given,
    id: Id,
    log: Annotated[bool, Query(description="Whether the log's lines are wanted, too.")] = False,
) -> StreamingResponse:
    """A stream of server-sent events: `state` when status, epoch or attempt change, `log` with the lines that are
    new (with `log=true`; the first one has the end of what there is), `end` when it has ended."""
    with_id = await to_thread.run_sync(lambda: _whole(context, id))
    follower = _Follower(context, with_id, log)
    return StreamingResponse(follower.events(request), media_type="text/event-stream", headers=EVENT_HEADERS)


def _whole(context: Context, id: str) -> str:
    with context.reading() as store:
        return resolve(store, "training", id).id


class _Follower:
    """Looks once a second at what a client watches."""

    def __init__(self, context: Context, id: str, log: bool) -> None:
        self._context = context
        self._id = id
        self._log = log
        self._text = GrowingText()
        self._attempt = 0
        self._told: dict[str, object] = {}

    async def events(self, request: Request) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        reads, looks, silent = shared_reads(request), 0, 0
        while not await request.is_disconnected():
            told = False
            try:
                row = await reads.read(("row", self._id), self._row)
                state = self._state(row)
                if state != self._told:
                    self._told, told = state, True
                    yield event("state", json.dumps(plain(state)))
                ended = row.status in ENDED
                if self._log and (looks % _LOG_EVERY == 0 or ended) and (text := await self._new_text(request, row)):
                    told = True
                    yield event("log", json.dumps({"attempt": row.attempt, "text": text[-_LONGEST_TEXT:]}))
                if ended:
                    yield event("end", "{}")
                    return
            except MiTorchError as error:
                told = True
                yield event("problem", json.dumps(plain({"error": str(error)})))
                await anyio.sleep(5 * _SECONDS)
            looks, silent = looks + 1, 0 if told else silent + 1
            if silent and silent % _SILENT == 0:
                yield ": still here\n\n"
            await anyio.sleep(_SECONDS)

    def _row(self) -> TrainingRow:
        with self._context.reading() as store:
            return store.trainings.get_row(self._id)

    def _state(self, row: TrainingRow) -> dict[str, object]:
        left = training_remaining(row, self._context.clock())
        done, total = row.done()
        return {
            "status": row.status.value,
            "epoch": row.progress.epoch if row.progress else 0,
            "max_epochs": row.max_epochs,
            "done": done,
            "total": total,
            "remaining_seconds": None if left is None else 10 * round(left.total_seconds() / 10),
            "attempt": row.attempt,
            "name": row.name or row.id[:8],
        }

    async def _new_text(self, request: Request, row: TrainingRow) -> str:
        if not row.attempts:
            return ""
        if row.attempt != self._attempt:
            self._attempt, self._text = row.attempt, GrowingText()
        window = await shared_reads(request).read(("log", self._id, row.attempt), lambda: self._window(row.attempt))
        added = self._text.add(window)
        return added + (self._text.rest() if row.status in ENDED else "")

    def _window(self, attempt: int) -> str:
        try:
            return read_log(self._context.store, self._context.backends, self._id, attempt)
        except MiTorchError:
            return ""  # the page says where the log is; a cluster that does not answer is asked again
