"""How much of the machine this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that the system gives this process. ``OMP_NUM_THREADS`` limits them: with it trainings share a machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, max(1, int(limit))) if limit.isdecimal() else cores
