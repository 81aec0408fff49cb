"""The states of a run on a cluster, as seen from outside."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """The state that a cluster reports for a run."""

    PENDING = "pending"  # accepted, no process yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # its program exited with code 0
    FAILED = "failed"  # its program exited with another code
    KILLED = "killed"  # its processes ended without exiting by themselves
    UNKNOWN = "unknown"  # the cluster reports a state that we do not know: wait
