"""Reads that many watch at once, made once: fifty clients of one training cost one read a second."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

from anyio import to_thread

Result = TypeVar("Result")

SECONDS = 1.0
_MOST = 2_000  # reads that are remembered


class SharedReads:
    """Remembers what a read has returned for a second. Used in one event loop; the reads themselves are made in
    threads."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._made: OrderedDict[object, tuple[float, asyncio.Future[object]]] = OrderedDict()

    async def read(self, key: object, function: Callable[[], Result]) -> Result:
        """Returns what `function` returns, or has returned for this key within the last second. An error is raised for
        all who wait for it, and is not remembered."""
        now = time.monotonic()
        known = self._made.get(key)
        if known is None or now - known[0] > self._seconds:
            future: asyncio.Future[object] = asyncio.ensure_future(to_thread.run_sync(function))
            self._made[key] = (now, future)
            self._made.move_to_end(key)
            while len(self._made) > _MOST:
                self._made.popitem(last=False)
        else:
            future = known[1]
        try:
            return cast(Result, await asyncio.shield(future))
        except Exception:
            if self._made.get(key, (0.0, None))[1] is future:
                del self._made[key]
            raise
