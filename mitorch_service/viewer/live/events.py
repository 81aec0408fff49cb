"""Server-sent events (HTML standard, section 9.2): their form, and what all streams of a server share."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from mitorch_service.viewer.live.shared_reads import SharedReads

LOOK_SECONDS = 1.2  # longer than a shared read is remembered: what a page shows may be newer than one
SILENT_LOOKS = 10  # looks without anything to tell, after which a comment says that the stream lives
EVENT_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def event(name: str, data: str, id: str | None = None) -> str:
    """One event; `data` is one line."""
    position = "" if id is None else f"id: {id}\n"
    return f"event: {name}\n{position}data: {data}\n\n"


def shared_reads(request: Request) -> SharedReads:
    """The reads that all streams of this server share."""
    state = request.app.state
    if not hasattr(state, "shared_reads"):
        state.shared_reads = SharedReads()
    return cast(SharedReads, state.shared_reads)
