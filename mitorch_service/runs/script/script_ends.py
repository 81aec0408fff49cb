"""The ends of a script that has not done all its work, one function each."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping
from dataclasses import replace

from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.runs.attempt_end import canceled, ended_by_search, failed, lost
from mitorch_service.runs.context import AttemptContext
from mitorch_service.runs.script.process import ScriptEnd
from mitorch_service.runs.script.script_checkpoints import ScriptCheckpoints
from mitorch_service.runs.search.search_decision import SearchDecision
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.training.loop.segment import segment_of

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # the script itself, or its child as a shell reports it
_LONGEST_REASON = 300

log = logging.getLogger("mitorch")


def stopped(
    context: AttemptContext,
    decision: SearchDecision | None,
    checkpoints: ScriptCheckpoints,
    artifacts: Mapping[str, str],
) -> RunEnd:
    """The end of a script that was asked to stop: by its search, or by a person. The reason of a pause says if the
    script has stored no checkpoint to resume from."""
    if decision is None:
        return canceled(artifacts)
    pause_at = segment_of(context.training).pause_at
    kept = checkpoints.last_epoch()
    if pause_at is not None and kept < pause_at:
        restart = f"it then restarts from epoch {kept + 1}, as it has stored no checkpoint since"
        decision = replace(decision, reason=f"{decision.reason}; {restart}")
    return ended_by_search(decision, None, artifacts)


def hung(seconds: float, artifacts: Mapping[str, str]) -> RunEnd:
    message = f"the script gave no sign of life for {seconds:g} s (max_silence): it was stopped or hung, and was killed"
    log.error("%s", message)
    return lost(TrainingErrorInfo(type="ScriptSilent", message=message), artifacts)


def limited(artifacts: Mapping[str, str]) -> RunEnd:
    """The end of a script that has ended because it was told that the time limit of its cluster is near."""
    message = "its time limit was near: the script has ended"
    return lost(TrainingErrorInfo(type="Preempted", message=message), artifacts, preempted=True, timed_out=True)


def failed_script(ended: ScriptEnd, last_line: str, artifacts: Mapping[str, str]) -> RunEnd:
    if ended.code in _KILLED:
        message = "the script was killed by SIGKILL: often the machine ran out of memory"
        return lost(TrainingErrorInfo(type="ScriptKilled", message=message), artifacts)
    how = f"ended with exit code {ended.code}" if ended.code > 0 else f"was ended by {_signal_name(-ended.code)}"
    message = f"the script {how}" + (f"; its last line: {last_line[:_LONGEST_REASON]}" if last_line else "")
    log.error("%s", message)
    return failed(TrainingErrorInfo(type="ScriptFailed", message=message), artifacts)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal has no name
