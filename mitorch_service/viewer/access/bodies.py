"""Reads what a request brings, within limits of size and time, before anybody works with it."""

from __future__ import annotations

import anyio
from starlette.requests import Request
from starlette.types import Message, Receive

MOST_BYTES = 1_100_000  # a config of 1 MB, with what is around it
SECONDS = 20.0


class BodyRefused(Exception):
    """The body is too long or comes too slowly. Never leaves the gate."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


async def read_body(request: Request, receive: Receive, seconds: float = SECONDS) -> Receive:
    """Reads the body; returns what gives it to the application again. Raises BodyRefused."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced[:20]) > MOST_BYTES:
        raise BodyRefused(413, "the body is longer than 1 MB")
    parts: list[bytes] = []
    size = 0
    with anyio.move_on_after(seconds) as timer:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return _again(message, receive)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MOST_BYTES:
                raise BodyRefused(413, "the body is longer than 1 MB")
            if not message.get("more_body", False):
                break
    if timer.cancelled_caught:
        raise BodyRefused(408, f"the body did not come within {seconds:g} s")
    return _again({"type": "http.request", "body": b"".join(parts), "more_body": False}, receive)


def _again(first: Message, receive: Receive) -> Receive:
    """Gives one message, then whatever comes."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return first

    return receive_again
