"""What a run on a cluster looks like from outside."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """A run as its cluster sees it."""

    PENDING = "pending"  # accepted, no process yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # ended with exit code 0
    FAILED = "failed"  # its program ended with another exit code
    KILLED = "killed"  # its processes are gone without an exit of their own
    UNKNOWN = "unknown"  # the cluster says something that we do not understand: wait


# What `mirun` ends with when not the training but something around it failed (sysexits.h: EX_TEMPFAIL).
EXIT_INFRASTRUCTURE = 75
