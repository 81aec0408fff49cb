"""Runs trainings as processes of this machine, each in its own folder below ``<home>/runs``.

A run's folder contains ``log.txt``, ``process.json`` (process ids and start times), ``exit.json`` (the exit code) and
``started``, a token that only one supervisor can take. A slot is a file with the name of the run that occupies it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.local import supervisor
from mitorch_service.backends.local.run_mark import kill_marked, marked_processes
from mitorch_service.errors import BackendUnavailable, NoCapacity, RunRefused
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.inherited_settings import MARK, VARIABLE, write_settings
from mitorch_service.models.run_state import RunState
from mitorch_service.models.training import Resources, run_name

GRACE_SECONDS = 30.0  # from SIGTERM to SIGKILL
MAX_SILENCE = 900.0  # seconds
_START_SECONDS = 60.0  # a supervisor that has not written its process ids by then has died
_SAME_START = 2.0  # tolerance between two readings of a process's start (unit: see supervisor.process_start)
_ROOM = 65536  # bytes that must be free on the disk to start a run


class _ProcessId(NamedTuple):
    pid: int
    started: float  # see supervisor.process_start


class _Processes(NamedTuple):
    supervisor: _ProcessId
    run: _ProcessId


class LocalBackend(Backend):
    """Starts each run name once: submission holds a file lock, and the supervisor takes a token before it starts."""

    def __init__(
        self,
        cluster: str,
        home: Path,
        slots: int | None,
        environment: Mapping[str, str],
        grace: float = GRACE_SECONDS,
        *,
        max_silence: float = MAX_SILENCE,
        hidden: Sequence[str] = (),
        access: FileAccess = PRIVATE,
    ) -> None:
        """`environment`: settings that the runs need, by variable; passed on by a descriptor, not stored. `grace`:
        seconds. `max_silence`: seconds without a sign of life, after which a run is killed. `hidden`: variables of this
        process that runs must not see."""
        self._cluster = cluster
        self._home = home
        self._runs = home / "runs"
        self._slots_folder = home / "slots" / cluster
        self._gpus = visible_gpus(os.environ)
        self._slots = slots if slots is not None else len(self._gpus) or min(2, os.cpu_count() or 1)
        self._environment = dict(environment)
        self._grace = grace
        self._max_silence = max_silence
        self._hidden = {*hidden, *environment, MARK, supervisor.SIGN_OF_LIFE}
        self._access = access
        self._children: list[subprocess.Popen[bytes]] = []  # kept to reap those that have ended

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        needed = resources or Resources()
        module = "mitorch_service.cli.main"
        command = (sys.executable, "-m", module, "run", training_id, "--attempt", str(attempt))
        return RunRequest(run_name(training_id, attempt), command, needed.nodes, needed.gpus)

    def submit(self, request: RunRequest) -> str | None:
        if request.nodes > 1:
            remedy = "Name a cluster that has several nodes in resources.cluster."
            problem = f"this machine is one node, but {request.name} needs {request.nodes}"
            raise RunRefused(self._cluster, problem, remedy, of_request=True)
        folder = self._runs / request.name
        with self._errors(), self._lock():
            if (folder / "started").exists():
                return str(folder)
            self._check_room(self._slots_folder)
            slot = self._take_slot(request.name)
            self._access.make_folder(folder)
            try:
                self._check_room(folder)  # which may be on a disk of its own
                self._spawn(request, folder, slot)
            except OSError:
                with suppress(OSError):
                    folder.rmdir()  # a run with a folder counts as starting
                raise
        return str(folder)

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        self._reap()
        with self._errors():
            return {name: self._describe(self._runs / name) for name in names}

    def cancel(self, name: str) -> None:
        folder = self._runs / name
        with self._errors():
            if not folder.is_dir() or (folder / "exit.json").exists() or self._stopped_before_start(folder):
                return
            request = folder / "cancel"  # written before the processes are looked up, so that a starting run sees it
            by_force = request.exists() and time.time() - request.stat().st_mtime > self._grace
            if not request.exists():
                with suppress(OSError):  # a run is canceled even if the disk is full
                    self._write(request, "")
            processes = _read_processes(folder)
            if processes is None:
                return
            parent = _living(processes.supervisor)
            if parent is not None:
                if not by_force:
                    parent.send_signal(signal.SIGTERM)
                parent.resume()  # one that is stopped would neither end the run nor record its end
                if not by_force:
                    return
            for process in _group(processes.run):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL if by_force else signal.SIGTERM)

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        path = self._runs / name / "log.txt"
        with self._errors():
            if not path.is_file():
                return ""
            with path.open("rb") as log:
                log.seek(max(0, path.stat().st_size - max_bytes))
                return log.read().decode("utf-8", "replace")

    def capacity(self) -> Capacity:
        self._reap()
        with self._errors():
            return Capacity(self._slots, len(self._free_slots()), self._gpus_of_a_slot())

    def _spawn(self, request: RunRequest, folder: Path, slot: int) -> None:
        limits = (str(self._grace), str(self._max_silence))
        inherited = {name: value for name, value in os.environ.items() if name not in self._hidden}
        settings = write_settings(self._environment)
        try:
            # The supervisor prints nothing; the run opens its log itself.
            child = subprocess.Popen(
                [sys.executable, supervisor.__file__, str(folder), *limits, *request.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={**inherited, **self._slot_environment(slot), VARIABLE: str(settings)},
                pass_fds=[settings],
                start_new_session=True,
            )
        finally:
            os.close(settings)
        self._children.append(child)

    def _slot_environment(self, slot: int) -> dict[str, str]:
        threads = max(1, (os.cpu_count() or 1) // max(1, self._slots))
        environment = {
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
            "PYTHONUNBUFFERED": "1",
        }
        if self._gpus:
            mine = self._gpus[slot :: self._slots] or [self._gpus[slot % len(self._gpus)]]
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        return environment

    def _gpus_of_a_slot(self) -> int:
        """Returns the number of GPUs per slot; if there are more slots than GPUs, slots share them."""
        return max(1, len(self._gpus) // max(1, self._slots)) if self._gpus else 0

    def _check_room(self, folder: Path) -> None:
        """Raises OSError if the folder's disk is full, because the supervisor could not report it."""
        trial = folder / "room"
        try:
            self._write(trial, "\0" * _ROOM)
        finally:
            trial.unlink(missing_ok=True)

    def _take_slot(self, name: str) -> int:
        free = self._free_slots()
        mine = [slot for slot in range(self._slots) if self._holder(slot) == name]
        if not free and not mine:
            raise NoCapacity(self._cluster)
        slot = (mine or free)[0]
        self._write(self._slots_folder / str(slot), name)
        return slot

    def _free_slots(self) -> list[int]:
        return [slot for slot in range(self._slots) if not self._is_busy(self._holder(slot))]

    def _holder(self, slot: int) -> str:
        path = self._slots_folder / str(slot)
        return path.read_text() if path.exists() else ""

    def _is_busy(self, name: str) -> bool:
        status = self._describe(self._runs / name) if name else None
        return status is not None and status.state in (RunState.PENDING, RunState.RUNNING)

    def _describe(self, folder: Path) -> RunStatus | None:
        if not folder.is_dir():
            return None
        ended = _ended(folder)
        if ended is not None:
            return ended
        processes = _read_processes(folder)
        if processes is None:
            if time.time() - folder.stat().st_mtime < _START_SECONDS:
                return RunStatus(RunState.PENDING)
            return self._give_up_start(folder)
        if _living(processes.supervisor) or _group(processes.run):
            return RunStatus(RunState.RUNNING)
        return _ended(folder) or self._end_remains(folder)

    def _end_remains(self, folder: Path) -> RunStatus:
        """Ends what is left of a run whose supervisor and process are gone, so that no second attempt runs beside it;
        records the end, so that nothing is searched for again."""
        kill_marked(folder)
        reason = "its processes disappeared without an exit code (killed, or the machine was restarted)"
        if any(True for _ in marked_processes(folder)):
            return RunStatus(RunState.RUNNING)  # one that cannot be killed now, as it waits for a disk
        with suppress(OSError):
            supervisor.write_end(folder, -signal.SIGKILL, reason)
        return RunStatus(RunState.KILLED, reason)

    def _give_up_start(self, folder: Path) -> RunStatus:
        """Sees to it that a run whose processes are not known neither starts later nor goes on."""
        reason = "its process never started"
        with suppress(OSError):
            if not self._stopped_before_start(folder, reason):
                kill_marked(folder)
        return RunStatus(RunState.KILLED, reason)

    def _stopped_before_start(self, folder: Path, reason: str | None = None) -> bool:
        """Takes the token of a run whose supervisor has not taken it yet, so that the run will not start."""
        try:
            (folder / "started").mkdir(0o700)
        except FileExistsError:
            return False
        supervisor.write_end(folder, -signal.SIGTERM, reason)
        return True

    def _write(self, path: Path, text: str) -> None:
        with open(path, "w", opener=self._access.opener) as file:
            file.write(text)

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._access.make_folder(self._slots_folder)
        with open(self._slots_folder / "lock", "w", opener=self._access.opener) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with suppress(FileNotFoundError):  # the first use creates it
                if not stat.S_ISDIR(self._home.stat().st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self._home))
            yield
        except OSError as error:
            problem = f"{error.strerror or error} ({error.filename or self._runs})"
            remedy = "Check that MITORCH_HOME is writable and that its disk is not full."
            raise BackendUnavailable(self._cluster, problem, remedy) from error


def visible_gpus(environ: Mapping[str, str]) -> list[str]:
    """Returns the GPUs that this process may use, as named in CUDA_VISIBLE_DEVICES."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    devices = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted((name for name in devices if name.isdecimal()), key=int)


def _ended(folder: Path) -> RunStatus | None:
    exit_ = _read_json(folder / "exit.json")
    if exit_ is None:
        return None
    code = int(exit_["code"])
    if code == 0:
        return RunStatus(RunState.SUCCEEDED, exit_code=0)
    if code > 0:
        return RunStatus(RunState.FAILED, f"it ended with exit code {code}", code)
    if exit_.get("reason"):
        return RunStatus(RunState.KILLED, str(exit_["reason"]))
    name = _signal_name(-code)
    hint = ": often the machine ran out of memory" if -code == signal.SIGKILL else ""
    return RunStatus(RunState.KILLED, f"it was killed by {name}{hint}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # real-time signals have no names


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return None  # truncated by a full disk: the same as missing
    return value


def _read_processes(folder: Path) -> _Processes | None:
    written = _read_json(folder / "process.json")
    if written is None:
        return None
    return _Processes(_ProcessId(*written["supervisor"]), _ProcessId(*written["run"]))


def _living(process_id: _ProcessId) -> psutil.Process | None:
    """Returns the process, if it still runs and its id was not reused."""
    try:
        process = psutil.Process(process_id.pid)
        if abs(supervisor.process_start(process_id.pid) - process_id.started) > _SAME_START:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def _group(leader: _ProcessId) -> list[psutil.Process]:
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


def _is_reused(leader: _ProcessId) -> bool:
    """Whether a later process has the id. If so, the group has ended, because its id is not reused before."""
    try:
        return abs(supervisor.process_start(leader.pid) - leader.started) > _SAME_START
    except psutil.NoSuchProcess:
        return False
