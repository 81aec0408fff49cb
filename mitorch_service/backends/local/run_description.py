"""Describes a run by what its folder and its processes tell."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mitorch_service.backends.base import RunStatus
from mitorch_service.backends.local import supervisor
from mitorch_service.backends.local.processes import has_died, living, living_group, read_processes
from mitorch_service.backends.local.run_mark import kill_marked, marked_processes
from mitorch_service.backends.run_files import ended_run
from mitorch_service.models.attempts.run_state import RunState

_START_SECONDS = 60.0  # a supervisor that has not written its process ids by then is stopped, or was never started


def describe_run(folder: Path) -> RunStatus | None:
    if not folder.is_dir():
        return None
    ended = ended_run(folder)
    if ended is not None:
        return ended
    processes = read_processes(folder)
    if processes is None:
        return _describe_start(folder)
    if living(processes.supervisor) or living_group(processes.run):
        return RunStatus(RunState.RUNNING)
    return ended_run(folder) or _end_remains(folder)


def _describe_start(folder: Path) -> RunStatus:
    """Describes a run whose processes are not known yet."""
    died = has_died(folder)
    if not died and time.time() - folder.stat().st_mtime < _START_SECONDS:
        return RunStatus(RunState.PENDING)
    if died and read_processes(folder):  # which it has written since, and has ended perhaps
        return ended_run(folder) or RunStatus(RunState.RUNNING)
    return ended_run(folder) or _give_up_start(folder)


def _end_remains(folder: Path) -> RunStatus:
    """Ends what is left of a run whose supervisor and process are gone, so that no second attempt runs beside it;
    records the end, so that nothing is searched for again."""
    kill_marked(folder)
    reason = "its processes disappeared without an exit code (killed, or the machine was restarted)"
    if any(True for _ in marked_processes(folder)):
        return RunStatus(RunState.RUNNING)  # one that cannot be killed now, as it waits for a disk
    with suppress(OSError):
        supervisor.write_end(folder, -signal.SIGKILL, reason)
    return RunStatus(RunState.KILLED, reason)


def _give_up_start(folder: Path) -> RunStatus:
    """Sees to it that a run whose processes are not known neither starts later nor goes on."""
    reason = "its process never started"
    with suppress(OSError):
        if not stopped_before_start(folder, reason):
            kill_marked(folder)
    return RunStatus(RunState.KILLED, reason)


def stopped_before_start(folder: Path, reason: str | None = None) -> bool:
    """Takes the token of a run whose supervisor has not taken it yet, so that the run will not start."""
    try:
        (folder / "started").mkdir(0o700)
    except FileExistsError:
        return False
    supervisor.write_end(folder, -signal.SIGTERM, reason)
    return True


def begun(folder: Path) -> datetime | None:
    """When the run was submitted; None if it has been removed since."""
    with suppress(FileNotFoundError):
        token = folder / "started"
        return datetime.fromtimestamp((token if token.exists() else folder).stat().st_mtime, UTC)
    return None
