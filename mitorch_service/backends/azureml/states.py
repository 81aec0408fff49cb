"""Maps Azure ML's run statuses to ours. Imports no SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.secrets import mask_secrets

# A status that is not in the table is UNKNOWN: wait. A preempted low-priority run becomes Queued again.
STATES = {
    "NotStarted": RunState.PENDING,
    "Starting": RunState.PENDING,
    "Provisioning": RunState.PENDING,
    "Preparing": RunState.PENDING,
    "Queued": RunState.PENDING,
    "Running": RunState.RUNNING,
    "NotResponding": RunState.RUNNING,  # its node sends Azure no heartbeats: it may come back, and else falls silent
    "Finalizing": RunState.RUNNING,
    "CancelRequested": RunState.RUNNING,
    "Completed": RunState.SUCCEEDED,
    "Failed": RunState.FAILED,
    "Canceled": RunState.KILLED,
}
WAITING = tuple(name for name, state in STATES.items() if state == RunState.PENDING)  # the run has no node yet
LIVE = tuple(name for name, state in STATES.items() if state in (RunState.PENDING, RunState.RUNNING))
ENDED = ("Completed", "Failed", "Canceled")
# The output of a run's first process, in a run with one process or a distributed one.
LOGS = ("user_logs/std_log.txt", "user_logs/std_log_process_0.txt", "user_logs/std_log_process_00.txt")
# The lifetime of a run, after which Azure cancels it (learn.microsoft.com/azure/machine-learning/how-to-manage-quotas).
LIFETIME, LOW_PRIORITY_LIFETIME = timedelta(days=21), timedelta(days=7)

_MEANINGS = {
    "Preparing": "Azure prepares or builds the image",
    "Provisioning": "Azure starts a node",
    "Queued": "it waits for a node",
    "NotResponding": "its node sends no heartbeats to Azure",
}
_EXIT_CODE = re.compile(
    r"(?:exit(?:ed)?(?: with)?(?: status)? code|status code|exit status|ExitCode)\D{0,3}?(-?\d{1,10})", re.I
)
_PREEMPTED = re.compile(r"pre-?empt|evict|low.?priority|node (?:was |is )?(?:lost|unusable|deallocated)", re.I)
_LONGEST = 500  # characters of the reason
_FEW_HOURS = timedelta(hours=3)


def run_status(run: Mapping[str, Any], url: str) -> RunStatus:
    """Returns the status of a run from its document of run history; `url`: where a person can view it. A run that was
    ended at the end of its lifetime counts as preempted, and not as canceled by somebody. What is not as it should be
    counts as not there: one odd run must not hide the others of the same answer."""
    error = _fields(_fields(run.get("error")).get("error"))
    status = _text(run.get("status"))
    begin, end = time_of(run.get("startTimeUtc")), time_of(run.get("endTimeUtc"))
    found = to_status(status, _text(error.get("code")), _text(error.get("message")))
    if found.canceled and begin is not None and end is not None and end - begin > LOW_PRIORITY_LIFETIME - _FEW_HOURS:
        found = RunStatus(found.state, f"Azure ended it after {end - begin}", guessed=True, preempted=True)
    since = (begin if found.state == RunState.RUNNING else None) or time_of(run.get("createdUtc"))
    told = _text(_fields(run.get("queueingInfo")).get("message")) or _MEANINGS.get(status, "")
    told = mask_secrets(told)[:_LONGEST]
    return found.seen_as(f"{status} ({told})" if told else status, since, url)


def to_status(status: str, error_code: str = "", error_message: str = "") -> RunStatus:
    """Returns the status of a run. `error_code` and `error_message`: Azure's for a failed run.

    They contain exit code and preemption in words only, which change with Azure and with the language: all that is read
    in them is marked as guessed. An end that does not look like the program's own failure counts as KILLED.
    """
    state = STATES.get(status, RunState.UNKNOWN)
    words = mask_secrets(" ".join(error_message.split()))[:_LONGEST]
    if status == "Canceled":
        reason = "it was canceled on Azure" + (f": {words}" if words else "")
        return RunStatus(state, reason, guessed=True, canceled=True)
    if state == RunState.SUCCEEDED:
        return RunStatus(state, exit_code=0)
    if state == RunState.UNKNOWN:
        return RunStatus(state, f"Azure reports the unknown status {status!r}")
    if state != RunState.FAILED:
        return RunStatus(state)
    match = _EXIT_CODE.search(error_message)
    code = None if match is None else int(match.group(1))
    preempted = _PREEMPTED.search(error_message) is not None
    if preempted or (code is None and error_code not in ("", "UserError")):
        reason = f"Azure ended it: {words or error_code}"
        return RunStatus(RunState.KILLED, reason, guessed=True, preempted=preempted)
    if code is None:
        return RunStatus(state, words or "it failed, and Azure gives no reason", guessed=True)
    if code < 0 or code > 128:  # a signal, in the notation of Python or of a shell
        reason = f"it was killed by signal {-code if code < 0 else code - 128}"
        return RunStatus(RunState.KILLED, reason, guessed=True, message=words)
    return RunStatus(state, f"it ended with exit code {code}", code, guessed=True, message=words)


def time_of(value: object) -> datetime | None:
    """Reads a time of run history, as text or as a datetime, in UTC; None for what is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    except OverflowError:  # at the first or last day that there is
        return None


def nodes_of(run: Mapping[str, Any]) -> int:
    """Returns how many nodes a run takes, by its tag; one without a readable tag takes one."""
    text = _text(_fields(run.get("tags")).get("nodes"))
    return max(1, int(text)) if text.isdecimal() and len(text) < 7 else 1


def capacity_of(most: int, taken: int, gpus: int | None) -> Capacity:
    """Returns the capacity of a compute of `most` nodes; a reply with negative numbers frees none."""
    total = max(0, most)
    return Capacity(total, max(0, total - max(0, taken)), gpus)


def _fields(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
