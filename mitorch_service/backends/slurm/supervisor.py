"""The parent process of a run on a Slurm node: the process of the batch job itself, or a task of it on several nodes.

Started as ``python -m mitorch_service.backends.slurm.supervisor FOLDER GRACE MAX_SILENCE TASKS COMMAND…``. It makes
sure that a run name is started only once: the job that has taken the token ``started`` runs it, and no second job of
that name and no requeue of the first. It reads the settings, gives each of several tasks torchrun's environment,
forwards SIGTERM, and SIGUSR1 before the time limit, and kills a run that gives no sign of life. Each of several tasks
tells its end to the first one (`task_ends`), which writes the run's exit code to ``exit.json`` when all have ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType

from mitorch_service.backends.local import supervisor as local
from mitorch_service.backends.local.run_mark import kill_marked, mark_this_process
from mitorch_service.backends.slurm.task_ends import TaskEnd, TaskEnds, log_name
from mitorch_service.file_access import FileAccess
from mitorch_service.inherited_settings import VARIABLE, close_settings_fd, write_settings
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE

SETTINGS = "settings.json"
RUN_VARIABLE = "MITORCH_SLURM_RUN"  # the run's folder, in the run's environment
TAKEN_AWAY = "taken-away"  # the file in it that says that Slurm ends the run for no fault of it
TIME_LIMIT = "at its time limit"  # the content of that file, if it is for this
CANCELED_BY_HAND = "canceled-by-hand"  # that somebody has ended the job with scancel
_MEETING_SECONDS = 300.0  # for the first task to start on its node
_WAIT = 0.2  # seconds
_ASK_SECONDS = 5.0


def supervise(folder: Path, grace: float, max_silence: float, tasks: int, command: list[str]) -> int:
    """Runs this task of the job to its end; returns its exit code, in a shell's notation for a signal."""
    rank = int(os.environ.get("SLURM_PROCID", "0")) if tasks > 1 else 0
    umask = os.umask(FileAccess.like(folder).umask)
    if rank == 0 and not take_token(folder):
        publish(folder, tasks, {})  # the other tasks end, too
        return 0
    if tasks > 1:
        os.environ.update(torch_environment(folder, rank, tasks))
    else:
        mark_this_process(folder)
    os.environ[RUN_VARIABLE] = str(folder)
    try:
        settings = json.loads((folder / SETTINGS).read_text())
    except FileNotFoundError:
        settings = {}  # the run was ended already, as one that Slurm had lost
    os.environ[VARIABLE] = str(write_settings(settings))
    return run(folder, grace, max_silence, rank, tasks, command, umask)


def take_token(folder: Path) -> bool:
    """Whether this job is the one that runs. A requeue of a job that had begun ends as lost, for another attempt."""
    job = this_job()
    try:
        (folder / "started").mkdir()  # atomic, on a shared file system as well
    except FileExistsError:
        with contextlib.suppress(OSError):
            if (folder / "started" / "job").read_text() == job and not (folder / "exit.json").exists():
                (folder / TAKEN_AWAY).touch()
                local.write_end(folder, EXIT_INFRASTRUCTURE, "it was requeued after it had begun")
        return False
    with contextlib.suppress(OSError):
        (folder / "started" / "job").write_text(job)
    return True


def run(folder: Path, grace: float, max_silence: float, rank: int, tasks: int, command: list[str], umask: int) -> int:
    """Starts the command and waits for its end."""
    alive, beats = os.pipe()
    try:
        child = local.start(folder, command, beats, max_silence, umask, log_name(rank))
    except OSError as error:
        sys.stdout.write(f"{command[0]} could not be started: {error.strerror}\n")
        tell_end(folder, TaskEnd(rank, EXIT_INFRASTRUCTURE), tasks, lambda: False)
        return EXIT_INFRASTRUCTURE
    os.close(beats)
    close_settings_fd()
    local.forward_sigterm(child, grace)
    is_terminated = watch_sigterm()
    forward_time_limit(folder, child.pid)
    silence = local.Silence(alive, max_silence, lambda: local.kill_group(child))
    if rank == 0:
        with contextlib.suppress(OSError):
            local.write_identity(folder, child)
    if (folder / "cancel").exists():  # its writer may not have seen this process
        os.kill(os.getpid(), signal.SIGTERM)
    code = child.wait()
    end = TaskEnd(rank, code, silence.reason, is_terminated() or code == -signal.SIGTERM)
    local.kill_group(child)  # processes that it left behind
    if "WORLD_SIZE" not in os.environ:  # else other tasks on this node have the same mark: Slurm ends what they leave
        kill_marked(folder)
    tell_end(folder, end, tasks, is_terminated)
    return code if code >= 0 else 128 - code


def tell_end(folder: Path, end: TaskEnd, tasks: int, is_terminated: Callable[[], bool]) -> None:
    """Tells the end of this task; the first one of several waits for the others, and writes that of the run."""
    if tasks > 1:
        ends = TaskEnds(folder, this_job())
        ends.write(end)
        if end.rank > 0:
            return
        end = ends.await_verdict(end, tasks, is_terminated)
        if end.rank > 0:
            ends.show(end)
            end = replace(end, reason=ends.describe(end))
    if end.code and end.was_terminated and not (folder / "cancel").exists() and not note_if_taken_away(folder):
        (folder / CANCELED_BY_HAND).touch()
    local.write_end(folder, end.code, end.reason)
    (folder / SETTINGS).unlink(missing_ok=True)  # with passwords, which nothing needs any more


def watch_sigterm() -> Callable[[], bool]:
    """Returns a function that tells whether SIGTERM has come, which is still forwarded."""
    forward = signal.getsignal(signal.SIGTERM)
    seen: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if callable(forward):
            forward(number, frame)

    signal.signal(signal.SIGTERM, on_signal)
    return lambda: bool(seen)


def note_if_taken_away(folder: Path) -> bool:
    """Whether, after SIGTERM, Slurm ends the job for no fault of it, rather than at somebody's wish, and notes it.

    Slurm sends the same signal for a preemption, for scancel and at the time limit. A job that goes on, or of which
    nothing can be heard, has lost this process otherwise: it is repeated, too.
    """
    if (folder / "cancel").exists():
        return False
    taken = (folder / TAKEN_AWAY).exists()
    if not taken and TaskEnds(folder, this_job()).failure() is None:  # else another task's failure ended this one
        taken = not _is_canceled(this_job())
    if taken:
        with contextlib.suppress(OSError):
            (folder / TAKEN_AWAY).touch()
    return taken


def _is_canceled(job: str) -> bool:
    program = ["scontrol", "show", "job", job]
    try:
        shown = subprocess.run(program, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    facts = dict(re.findall(r"\b(JobState|PreemptTime)=(\S+)", shown))
    return facts.get("JobState") in ("COMPLETING", "CANCELLED") and facts.get("PreemptTime", "None") == "None"


def forward_time_limit(folder: Path, child: int) -> None:
    """Forwards SIGUSR1, which Slurm sends before the time limit, and notes it: the run's end is then no fault of it."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            (folder / TAKEN_AWAY).write_text(TIME_LIMIT)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, on_signal)


def torch_environment(folder: Path, rank: int, tasks: int) -> dict[str, str]:
    """Returns torchrun's variables for this task. The first task chooses a free port on its node."""
    if rank == 0:
        with socket.socket() as server:
            server.bind(("", 0))
            port = server.getsockname()[1]
        host = os.environ.get("SLURM_LAUNCH_NODE_IPADDR") or socket.gethostname()
        publish(folder, tasks, {"MASTER_ADDR": os.environ.get("MASTER_ADDR") or host, "MASTER_PORT": str(port)})
    meeting = await_meeting(folder)
    local_rank, per_node = os.environ.get("SLURM_LOCALID", "0"), os.environ.get("SLURM_NTASKS_PER_NODE", "1")
    return {
        **meeting,
        "WORLD_SIZE": str(tasks),
        "RANK": str(rank),
        "LOCAL_RANK": local_rank,
        "LOCAL_WORLD_SIZE": per_node,
    }


def publish(folder: Path, tasks: int, meeting: Mapping[str, str]) -> None:
    """Tells the other tasks where the first one is; an empty mapping: nowhere."""
    if tasks > 1:
        local.write_json(_meeting_file(folder), dict(meeting))


def await_meeting(folder: Path) -> dict[str, str]:
    """Waits until the first task has told where it is. Exits if it does not run."""
    path = _meeting_file(folder)
    end = time.monotonic() + _MEETING_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            meeting: dict[str, str] = json.loads(path.read_text())
            if not meeting:
                sys.exit(0)
            return meeting
        time.sleep(_WAIT)
    sys.stdout.write(f"the first process of the run has not appeared within {_MEETING_SECONDS:g} s\n")
    sys.exit(EXIT_INFRASTRUCTURE)


def this_job() -> str:
    """Returns the id of the job whose process this is."""
    return os.environ.get("SLURM_JOB_ID", "")


def _meeting_file(folder: Path) -> Path:
    return folder / f"meeting-{os.environ.get('SLURM_JOB_ID', '')}.json"


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]))
