"""A value that takes long to find: the last one is given at once, and a new one is found in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mitorch_service.errors import MiTorchError
from mitorch_service.models.secrets import mask_secrets

_LOG = logging.getLogger(__name__)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Reading(Generic[Value]):
    """The value as far as it is known now."""

    value: Value | None  # None: nothing yet
    age: float | None  # seconds since the value was found
    error: str | None = None  # why the last attempt to find a newer one failed


class Refreshed(Generic[Value]):
    """Finds a value again when it is read after so many seconds; one thread at a time, which ends with the process."""

    def __init__(self, find: Callable[[], Value], seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._found: tuple[Value, float] | None = None
        self._error: str | None = None
        self._tried: float | None = None
        self._under_way: threading.Event | None = None

    def read(self, wait: float = 0.0) -> Reading[Value]:
        """Returns what is known; the first time waits so many seconds for it at most."""
        under_way = self._start_if_stale()
        if under_way is not None and self._found is None:
            under_way.wait(wait)
        with self._lock:
            if self._found is None:
                return Reading(None, None, self._error)
            value, at = self._found
            return Reading(value, self._clock() - at, self._error)

    def _start_if_stale(self) -> threading.Event | None:
        with self._lock:
            if self._under_way is not None:
                return self._under_way
            if self._tried is not None and self._clock() - self._tried < self._seconds:
                return None
            self._tried = self._clock()
            self._under_way = threading.Event()
            threading.Thread(target=self._refresh, args=(self._under_way,), daemon=True).start()
            return self._under_way

    def _refresh(self, done: threading.Event) -> None:
        found: tuple[Value, float] | None = None
        error: str | None = None
        try:
            found = (self._find(), self._clock())
        except MiTorchError as problem:
            error = mask_secrets(str(problem))
        except Exception as problem:  # noqa: BLE001 - else nobody would ever see it, and the value would never be found
            _LOG.error("in the background", exc_info=problem)
            error = f"{type(problem).__name__}: a bug of mitorch-service; the server's log has the traceback"
        with self._lock:
            self._found, self._error = found or self._found, error
            self._under_way = None
        done.set()
