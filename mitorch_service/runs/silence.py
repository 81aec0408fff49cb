"""Notices that a training or script is stopped or hung: it gives no sign of life for too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

MAX_SILENCE = 3600.0  # seconds
_LONGEST_STEP = 1.0  # seconds from one question to the next that count: this process may have been stopped as well
_SAMPLES = 20  # of the processor time, within the longest silence


class Silence:
    """Signs of life, from any thread: a script's lines of output and calls, a training's steps. If the config gives no
    limit, the use of the processor is one, too: a script that computes for hours without a word is not hung."""

    def __init__(self, max_seconds: float | None, now: Callable[[], float] = time.monotonic) -> None:
        """`max_seconds`: the config's `max_silence`."""
        self.max_seconds = MAX_SILENCE if max_seconds is None else max_seconds
        self._computing_counts = max_seconds is None
        self._processor_seconds: Callable[[], float] = lambda: 0.0
        self._now = now
        self._asked = now()
        self._silent = 0.0  # seconds
        self._sampled = 0.0  # the same, when the processor time was read last
        self._used = 0.0
        self._calls = 0
        self._lock = threading.Lock()

    def begin(self, processor_seconds: Callable[[], float]) -> None:
        """Counts from now on. `processor_seconds`: used so far by all processes of the script."""
        self._processor_seconds = processor_seconds
        self._asked = self._now()
        self.heard()

    def heard(self) -> None:
        """The script gave a sign of life."""
        with self._lock:
            self._silent = self._sampled = 0.0

    def around(self, answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        """The same function for calls of the script, which is not silent as long as it waits for the answer."""

        def call(message: Asked) -> Answer:
            with self._lock:
                self._calls += 1
            try:
                return answer(message)
            finally:
                with self._lock:
                    self._calls -= 1
                self.heard()

        return call

    def is_too_long(self) -> bool:
        """Whether there was no sign of life for too long; to be asked several times a second."""
        with self._lock:
            now = self._now()
            self._silent = 0.0 if self._calls else self._silent + min(now - self._asked, _LONGEST_STEP)
            self._asked = now
            too_long = self._silent >= self.max_seconds
            sample = self._silent - self._sampled >= self.max_seconds / _SAMPLES
        if sample and self._computing_counts and self._was_used(self._processor_seconds()):
            return False
        return too_long

    def _was_used(self, seconds: float) -> bool:
        used, self._used = self._used, seconds
        if seconds != used:
            self.heard()
            return True
        self._sampled = self._silent
        return False
