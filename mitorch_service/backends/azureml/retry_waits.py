"""Limits how long Azure's libraries wait because a service asks for it: the next pass repeats the call anyway."""

from __future__ import annotations

from typing import Any

LONGEST_WAIT = 1.0  # seconds between two tries of one call


def bound_retry_after(policy: Any) -> None:
    """Patches a class with a method `get_retry_after(response)` (of azure-core or urllib3), as neither has a setting:
    by default a process sleeps for as long as the header says."""
    original = policy.get_retry_after
    if getattr(original, "is_bounded", False):
        return

    def bounded(self: Any, response: Any) -> float | None:
        seconds = original(self, response)
        return None if seconds is None else min(float(seconds), LONGEST_WAIT)

    bounded.is_bounded = True  # type: ignore[attr-defined]
    policy.get_retry_after = bounded
