"""The states of a run on a cluster, as seen from outside."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """The state that a cluster reports for a run."""

    PENDING = "pending"  # accepted, no process yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # ended with exit code 0
    FAILED = "failed"  # its program ended with another exit code
    KILLED = "killed"  # its processes are gone without an exit of their own
    UNKNOWN = "unknown"  # the cluster says something that we do not understand: wait
