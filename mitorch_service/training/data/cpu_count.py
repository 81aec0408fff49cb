"""The number of cores this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """The cores that the system gives this process, at most ``OMP_NUM_THREADS``, by which trainings share a machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, max(1, int(limit))) if limit.isdecimal() else cores
