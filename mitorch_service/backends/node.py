"""The machine that a run executes on, as seen from the run's own process."""

from __future__ import annotations

import subprocess

from mitorch_service.models.result import EpochResult

_SYSTEM_STATE = ("systemctl", "is-system-running")
_TIMEOUT = 5.0  # seconds


class Node:
    """The contract of a node, implemented for a plain machine; nodes of clouds override it."""

    keeps_files = True  # whether a later run of this cluster finds the files of this one on the disk
    may_restart_runs = False  # whether the cluster may start a preempted run again, on another node

    def settings(self) -> dict[str, str]:
        """Returns settings that the cluster passes to the run outside the environment (secrets), by variable.

        Raises BackendUnavailable if they cannot be read now, BackendError if they are missing.
        """
        return {}

    def epoch_ended(self, result: EpochResult) -> None:
        """Publishes the result where the cluster's users see it. Returns at once and never raises."""

    def is_preempted(self) -> bool:
        """Whether, after SIGTERM, the machine is being preempted or shut down, rather than the run canceled.

        May take seconds. A plain machine asks systemd; without systemd the answer is False.
        """
        try:
            state = subprocess.run(_SYSTEM_STATE, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return state.stdout.strip() == "stopping"

    def close(self) -> None:
        """Sends pending results, for at most some seconds."""
