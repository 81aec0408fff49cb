"""What Azure ML says about a run, in our words. No SDK is needed for that."""

from __future__ import annotations

import re

from mitorch_service.backends.base import RunStatus
from mitorch_service.models.run_state import RunState
from mitorch_service.models.secrets import mask_secrets

# One table; what is not in it is UNKNOWN, which means: wait. A preempted low-priority run is Queued again.
STATES = {
    "NotStarted": RunState.PENDING,
    "Starting": RunState.PENDING,
    "Provisioning": RunState.PENDING,
    "Preparing": RunState.PENDING,
    "Queued": RunState.PENDING,
    "Running": RunState.RUNNING,
    "Finalizing": RunState.RUNNING,
    "CancelRequested": RunState.RUNNING,
    "Completed": RunState.SUCCEEDED,
    "Failed": RunState.FAILED,
    "Canceled": RunState.KILLED,
}
WAITING = tuple(name for name, state in STATES.items() if state == RunState.PENDING)  # they hold no node yet
ENDED = ("Completed", "Failed", "Canceled")
# Where the first process of a run prints to: of a run of one, and of a distributed one.
LOGS = ("user_logs/std_log.txt", "user_logs/std_log_process_0.txt", "user_logs/std_log_process_00.txt")

_EXIT_CODE = re.compile(
    r"(?:exit(?:ed)?(?: with)?(?: status)? code|status code|exit status|ExitCode)\D{0,3}?(-?\d+)", re.I
)
_PREEMPTED = re.compile(r"pre-?empt|evict|low.?priority|node (?:was |is )?(?:lost|unusable|deallocated)", re.I)
_LONGEST = 500  # characters of a reason


def to_status(status: str, error_code: str = "", error_message: str = "") -> RunStatus:
    """`error_code` and `error_message` as Azure gives them for a failed run: of those that end badly the exit code is
    only told in words. Whatever is not the program's own failure counts as KILLED: the training is tried again."""
    state = STATES.get(status, RunState.UNKNOWN)
    words = mask_secrets(" ".join(error_message.split())[:_LONGEST])
    if status == "Canceled":
        return RunStatus(state, "it was canceled on Azure" + (f": {words}" if words else ""))
    if state == RunState.SUCCEEDED:
        return RunStatus(state, exit_code=0)
    if state == RunState.UNKNOWN:
        return RunStatus(state, f"Azure calls its status {status!r}, which is not known here")
    if state != RunState.FAILED:
        return RunStatus(state)
    match = _EXIT_CODE.search(error_message)
    code = None if match is None else int(match.group(1))
    if _PREEMPTED.search(error_message) or (code is None and error_code not in ("", "UserError")):
        return RunStatus(RunState.KILLED, f"Azure ended it: {words or error_code}")
    if code is None:
        return RunStatus(state, words or "it failed, and Azure says no more")
    if code < 0 or code > 128:  # a signal, as Python or as a shell counts
        return RunStatus(RunState.KILLED, f"it was killed by signal {-code if code < 0 else code - 128}")
    return RunStatus(state, f"it ended with exit code {code}", code)
