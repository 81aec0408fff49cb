"""Waiting for a database that does not answer now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mitorch_service.errors import StoreUnavailable

Result = TypeVar("Result")

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 30.0


def backoff(attempt: int) -> float:
    """Seconds to wait after the given number of failures: 0.2, 0.4, 0.8 … 30."""
    return float(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt, 10)))


def persistently(call: Callable[[], Result], patience_seconds: float) -> Result:
    """Repeats the call while the store is unavailable. Raises StoreUnavailable once the patience is over, and whatever
    else the call raises at once."""
    end = time.monotonic() + patience_seconds
    failures = 0
    while True:
        try:
            return call()
        except StoreUnavailable:
            wait = backoff(failures)
            failures += 1
            if time.monotonic() + wait > end:
                raise
            time.sleep(wait)
