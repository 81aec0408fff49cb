"""Waiting for a database that does not answer now, or is asked for too much."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from mitorch_service.errors import DATABASE_TROUBLE, StoreUnavailable

Result = TypeVar("Result")

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 30.0


def backoff(attempt: int) -> float:
    """Seconds to wait after the given number of failures: 0.2, 0.4, 0.8 … 30, and up to half of it less, so that those
    who failed together do not come back together."""
    return random.uniform(0.5, 1.0) * min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(attempt, 10))


def repeatedly(
    call: Callable[[], Result], passing: Callable[[Exception], float | None], patience_seconds: float
) -> Result:
    """Repeats the call while it raises what passes. `passing` returns the seconds that the error asks to wait at least
    (0: it asks for none), or None for an error that stays. Raises such a one at once, and the last one once the
    patience would be over."""
    end = time.monotonic() + patience_seconds
    failures = 0
    while True:
        try:
            return call()
        except Exception as error:
            asked = passing(error)
            wait = max(backoff(failures), asked or 0.0)
            failures += 1
            if asked is None or time.monotonic() + wait > end:
                raise
        time.sleep(wait)


def persistently(call: Callable[[], Result], patience_seconds: float) -> Result:
    """Repeats the call while the store is unavailable. Raises StoreUnavailable once the patience is over, and whatever
    else the call raises at once."""
    return repeatedly(call, lambda error: 0.0 if isinstance(error, StoreUnavailable) else None, patience_seconds)


def stubbornly(call: Callable[[], Result], patience_seconds: float) -> Result:
    """The same where a result would be lost: repeats the call while the store refuses its user, too, as a person may
    give it back its rights meanwhile. Raises AccessRefused once the patience is over."""
    return repeatedly(call, lambda error: 0.0 if isinstance(error, DATABASE_TROUBLE) else None, patience_seconds)
