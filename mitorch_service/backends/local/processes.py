"""The processes of a run: its supervisor and its own, found again by their ids and starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import psutil

from mitorch_service.backends.local import supervisor
from mitorch_service.backends.local.run_mark import marked_processes
from mitorch_service.backends.run_files import read_json

_SAME_START = 2.0  # tolerance between two readings of a process's start (unit: see supervisor.process_start)


class ProcessId(NamedTuple):
    pid: int
    started: float  # see supervisor.process_start


class RunProcesses(NamedTuple):
    supervisor: ProcessId
    run: ProcessId


def read_processes(folder: Path) -> RunProcesses | None:
    written = read_json(folder / "process.json")
    if written is None:
        return None
    return RunProcesses(ProcessId(*written["supervisor"]), ProcessId(*written["run"]))


def has_died(folder: Path) -> bool:
    """Whether the last supervisor of the run is known to have died, and no other process may still start or be it."""
    written = read_json(folder / "spawned.json")
    if written is None or living(ProcessId(*written["supervisor"])) is not None:
        return False
    return not any(True for _ in marked_processes(folder))


def living(process_id: ProcessId) -> psutil.Process | None:
    """Returns the process, if it still runs and its id was not reused."""
    try:
        process = psutil.Process(process_id.pid)
        if abs(supervisor.process_start(process_id.pid) - process_id.started) > _SAME_START:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def living_group(leader: ProcessId) -> list[psutil.Process]:
    """Returns the living processes of the run's process group, whether or not its leader lives."""
    if _is_reused(leader):
        return []
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) != leader.pid:
                continue
            if supervisor.process_start(process.pid) < leader.started - _SAME_START:
                continue
            if process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return members


def _is_reused(leader: ProcessId) -> bool:
    """Whether a later process has the id. If so, the group has ended, because its id is not reused before."""
    try:
        return abs(supervisor.process_start(leader.pid) - leader.started) > _SAME_START
    except psutil.NoSuchProcess:
        return False
