"""Maps Slurm's job states to ours."""

from __future__ import annotations

from datetime import datetime

from mitorch_service.backends.base import RunStatus
from mitorch_service.models.attempts.run_state import RunState

# A state that is not in the table is UNKNOWN: wait.
STATES = {
    "PENDING": RunState.PENDING,
    "CONFIGURING": RunState.PENDING,
    "REQUEUED": RunState.PENDING,
    "REQUEUE_FED": RunState.PENDING,
    "REQUEUE_HOLD": RunState.PENDING,
    "RESV_DEL_HOLD": RunState.PENDING,
    "SPECIAL_EXIT": RunState.PENDING,
    "RUNNING": RunState.RUNNING,
    "COMPLETING": RunState.RUNNING,
    "RESIZING": RunState.RUNNING,
    "SIGNALING": RunState.RUNNING,
    "STAGE_OUT": RunState.RUNNING,
    "STOPPED": RunState.RUNNING,
    "SUSPENDED": RunState.UNKNOWN,
    "COMPLETED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "BOOT_FAIL": RunState.KILLED,
    "CANCELLED": RunState.KILLED,
    "DEADLINE": RunState.KILLED,
    "NODE_FAIL": RunState.KILLED,
    "OUT_OF_MEMORY": RunState.KILLED,
    "PREEMPTED": RunState.KILLED,
    "REVOKED": RunState.KILLED,
    "TIMEOUT": RunState.KILLED,
}
ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.KILLED)
_REASONS = {
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "Slurm ended it at its deadline",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "Slurm ended it: it used more memory than its job may",
    "PREEMPTED": "Slurm preempted it for another job",
    "REVOKED": "another cluster of the federation took its job",
    "TIMEOUT": "Slurm ended it at its time limit",
}
CANCELED = "it was canceled with scancel"
_TAKEN_AWAY = ("BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "TIMEOUT")  # no fault of the training


def state_of(word: str) -> RunState:
    """Returns our state for Slurm's word, such as ``CANCELLED by 1000``."""
    return STATES.get(_plain(word), RunState.UNKNOWN)


def active_status(word: str, reason: str, since: datetime | None = None) -> RunStatus:
    """Returns the status of a job that has not ended. `reason`: Slurm's, such as ``Resources``; `since`: when it was
    submitted, or has started."""
    state = state_of(word)
    shown = "" if reason in ("", "None") else f" ({reason})"
    problem = f"Slurm reports the state {word}" if state == RunState.UNKNOWN else None
    return RunStatus(state, problem).seen_as(f"{_plain(word)}{shown}", since, None)


def ended_status(word: str, exit_code: str = "") -> RunStatus:
    """Returns the status of a job that ended without its exit file: whatever Slurm calls its end, its run could not
    say its own. `exit_code`: sacct's, ``code:signal``."""
    plain = _plain(word)
    if plain == "CANCELLED":
        user = word.partition(" by ")[2].strip()
        return RunStatus(RunState.KILLED, CANCELED + (f" by user {user}" if user else ""), canceled=True)
    if plain in _REASONS:
        is_limit = plain == "TIMEOUT"
        return RunStatus(RunState.KILLED, _REASONS[plain], preempted=plain in _TAKEN_AWAY, timed_out=is_limit)
    code = exit_code.partition(":")[0]
    shown = f" with exit code {code}" if code not in ("", "0") else ""
    reason = f"its job ended{shown} before it wrote how (a failing line of setup, no python, or a full disk)"
    return RunStatus(RunState.FAILED, reason)


def _plain(word: str) -> str:
    return word.split(" ", 1)[0].rstrip("+")
