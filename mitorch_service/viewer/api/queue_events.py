"""The changes of the queue, as they happen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import Query, Request
from starlette.responses import StreamingResponse

from mitorch_service.errors import MiTorchError
from mitorch_service.viewer.api.responses import plain
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.live.events import EVENT_HEADERS, LOOK_SECONDS, SILENT_LOOKS, event, shared_reads
from mitorch_service.viewer.live.queue import QueueView, queue_watch_of

router = api_router("status")


@router.get("/events/queue", summary="What happens to the queue", response_class=StreamingResponse)
async def follow_queue(
    request: Request,
    context: Given,
    version: Annotated[str, Query(max_length=40, description="Of what the page shows already.")] = "",
) -> StreamingResponse:
    """A stream of server-sent events `queue`: HTML of those parts and rows of the page that have changed, and the ids
    of a table in their order where that has; `problem` where the database does not answer."""
    shown = request.headers.get("last-event-id", "") or version
    events = _events(request, context, shown)
    return StreamingResponse(events, media_type="text/event-stream", headers=EVENT_HEADERS)


async def _events(request: Request, context: Context, shown: str) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    may_change = getattr(request.state, "may_change", False)
    reads, silent = shared_reads(request), 0
    before: QueueView | None = None
    if shown:
        await anyio.sleep(LOOK_SECONDS)
    while not await request.is_disconnected():
        told = False
        try:
            view = await reads.read(("queue", may_change), lambda: queue_watch_of(context).view(may_change))
            if view.version != shown:
                told, shown = True, view.version
                yield event("queue", json.dumps(view.changes(before)), view.version)
            before = view
        except MiTorchError as error:
            told = True
            yield event("problem", json.dumps(plain({"error": str(error)})))
            await anyio.sleep(5 * LOOK_SECONDS)
        silent = 0 if told else silent + 1
        if silent and silent % SILENT_LOOKS == 0:
            yield ": still here\n\n"
        await anyio.sleep(LOOK_SECONDS)
