"""The machine that a run is on, as the run's own process sees it."""

from __future__ import annotations

import subprocess

from mitorch_service.models.result import EpochResult

_ASK = ("systemctl", "is-system-running")
_PATIENCE = 5.0  # seconds


class Node:
    """Any machine; clouds' nodes know more."""

    starts_again = False  # whether a cluster may start the same run a second time, on another node

    def settings(self) -> dict[str, str]:
        """Settings that the run needs and that come by the cluster's own way, by variable. Raises BackendUnavailable
        and BackendError."""
        return {}

    def epoch_ended(self, result: EpochResult) -> None:
        """Shows the result where the cluster's users look too. Returns at once and never raises."""

    def is_taken_away(self) -> bool:
        """Asked after SIGTERM: whether the machine leaves (preempted), rather than that somebody wants the run to end.
        May take seconds.

        Of any machine systemd tells whether it is shut down; without systemd nobody does.
        """
        try:
            told = subprocess.run(_ASK, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return told.stdout.strip() == "stopping"

    def close(self) -> None:
        """Sends what is not sent yet, for at most some seconds."""
