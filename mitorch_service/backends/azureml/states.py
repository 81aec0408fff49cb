"""Maps Azure ML's run statuses to ours. Imports no SDK."""

from __future__ import annotations

import re

from mitorch_service.backends.base import RunStatus
from mitorch_service.models.run_state import RunState
from mitorch_service.models.secrets import mask_secrets

# A status that is not in the table is UNKNOWN: wait. A preempted low-priority run becomes Queued again.
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
WAITING = tuple(name for name, state in STATES.items() if state == RunState.PENDING)  # the run has no node yet
ENDED = ("Completed", "Failed", "Canceled")
# The output of a run's first process, in a run with one process or a distributed one.
LOGS = ("user_logs/std_log.txt", "user_logs/std_log_process_0.txt", "user_logs/std_log_process_00.txt")

_EXIT_CODE = re.compile(
    r"(?:exit(?:ed)?(?: with)?(?: status)? code|status code|exit status|ExitCode)\D{0,3}?(-?\d+)", re.I
)
_PREEMPTED = re.compile(r"pre-?empt|evict|low.?priority|node (?:was |is )?(?:lost|unusable|deallocated)", re.I)
_LONGEST = 500  # characters of the reason


def to_status(status: str, error_code: str = "", error_message: str = "") -> RunStatus:
    """Returns the status of a run. `error_code` and `error_message`: Azure's for a failed run; they contain the exit
    code only in words.

    An end that is not the program's own failure counts as KILLED, so that the training is retried.
    """
    state = STATES.get(status, RunState.UNKNOWN)
    words = mask_secrets(" ".join(error_message.split()))[:_LONGEST]
    if status == "Canceled":
        return RunStatus(state, "it was canceled on Azure" + (f": {words}" if words else ""))
    if state == RunState.SUCCEEDED:
        return RunStatus(state, exit_code=0)
    if state == RunState.UNKNOWN:
        return RunStatus(state, f"Azure reports the unknown status {status!r}")
    if state != RunState.FAILED:
        return RunStatus(state)
    match = _EXIT_CODE.search(error_message)
    code = None if match is None else int(match.group(1))
    if _PREEMPTED.search(error_message) or (code is None and error_code not in ("", "UserError")):
        return RunStatus(RunState.KILLED, f"Azure ended it: {words or error_code}")
    if code is None:
        return RunStatus(state, words or "it failed, and Azure gives no reason")
    if code < 0 or code > 128:  # a signal, in the notation of Python or of a shell
        return RunStatus(RunState.KILLED, f"it was killed by signal {-code if code < 0 else code - 128}")
    return RunStatus(state, f"it ended with exit code {code}", code)
