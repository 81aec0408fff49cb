"""The clock of a MongoDB server, by which the times of several machines are ordered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import errors

_EVERY_SECONDS = 600.0  # clocks drift by some milliseconds in this time
_AGAIN_SECONDS = 60.0  # after it has not answered
_IGNORED = timedelta(seconds=1)  # a smaller difference is no more than the way there and back


class ServerClock:
    """This machine's clock, corrected by its difference to the server's `localTime`."""

    def __init__(self, hello: Callable[[], Mapping[str, Any]]) -> None:
        """`hello`: asks the server for its answer to the command of this name."""
        self._hello = hello
        self._ahead = timedelta(0)  # the server's clock, of this machine's
        self._due = time.monotonic()
        self._was_asked = False

    def now(self) -> datetime:
        """Returns the server's time. While the server does not answer, the last known difference holds. Only the first
        call waits for the server: a training must not stand still because a database hangs."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _AGAIN_SECONDS
            if self._was_asked:
                threading.Thread(target=self._measure, name="clock", daemon=True).start()
            else:
                self._was_asked = True
                self._measure()
        return datetime.now(UTC) + self._ahead

    def _measure(self) -> None:
        before = datetime.now(UTC)
        try:
            there = self._hello().get("localTime")
        except errors.PyMongoError:
            return
        after = datetime.now(UTC)
        self._due = time.monotonic() + _EVERY_SECONDS
        if isinstance(there, datetime) and there.tzinfo is not None:
            ahead = there - (before + (after - before) / 2)
            self._ahead = ahead if abs(ahead) > _IGNORED else timedelta(0)
