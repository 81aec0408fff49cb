"""The machine that a run executes on, as seen from the run's own process."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.models.result import EpochResult

_SYSTEM_STATE = ("systemctl", "is-system-running")
_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class ProcessFailure:
    """The failure of another process of the same run, without which this one cannot continue."""

    reason: str
    of_training: bool  # its own error, rather than that of something around it


class Node:
    """The contract of a node, implemented for a plain machine; nodes of clouds override it."""

    keeps_files = True  # whether a later run of this cluster finds the files of this one on the disk
    may_restart_runs = False  # whether the cluster may start a preempted run again, on another node
    gpus = 0  # that its cluster gives to a run, as far as it says so
    url: str | None = None  # where a person can view the run, as far as the node knows it
    max_seconds: float | None = None  # after which the cluster ends a run, whatever it does; None: never

    def settings(self) -> dict[str, str]:
        """Returns settings that the cluster passes to the run outside the environment (secrets), by variable.

        Raises BackendUnavailable if they cannot be read now, BackendError if they are missing.
        """
        return {}

    def training_started(self, tags: Mapping[str, str]) -> None:
        """Shows the training's tags where the cluster's users see its run. Returns at once and never raises."""

    def training_ended(self, evaluation: Mapping[str, float], plots: Path) -> None:
        """Publishes the final figures, and the pictures and tables in a folder, where the cluster's users see them.
        Takes seconds at most, and never raises."""

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

    def failed_process(self, patience: float = 0.0) -> ProcessFailure | None:
        """Returns the failure of another process of the run, for which its cluster ends this one; None: there is none.
        Waits for it for `patience` seconds at most."""
        return None

    def close(self) -> None:
        """Sends pending results, for at most some seconds."""
