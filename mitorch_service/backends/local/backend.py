"""Runs trainings as processes of this machine, each in its own folder below ``<home>/runs``.

A run's folder contains ``log.txt``, ``process.json`` (process ids and start times), ``exit.json`` (the exit code),
``spawned.json`` (the last supervisor that was started for it) and ``started``, a token that only one supervisor can
take. A slot is a file with the name of the run that occupies it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.home_folder import home_errors
from mitorch_service.backends.local import start_supervisor, supervisor
from mitorch_service.backends.local.processes import living, living_group, read_processes
from mitorch_service.backends.local.run_description import begun, describe_run, stopped_before_start
from mitorch_service.backends.optional import LiveRun, RunListing
from mitorch_service.backends.run_files import log_end
from mitorch_service.errors import NoCapacity, RunRefused
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.inherited_settings import MARK, VARIABLE, write_settings
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources, run_name

_REMEDY = "Check that MITORCH_HOME is writable and that its disk is not full."
GRACE_SECONDS = 30.0  # from SIGTERM to SIGKILL
MAX_SILENCE = 900.0  # seconds
_ROOM = 65536  # bytes that must be free on the disk to start a run


class LocalBackend(Backend, RunListing):
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
        self._environment = environment
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
            return {name: describe_run(self._runs / name) for name in names}

    def cancel(self, name: str) -> None:
        folder = self._runs / name
        with self._errors():
            if not folder.is_dir() or (folder / "exit.json").exists() or stopped_before_start(folder):
                return
            request = folder / "cancel"  # written before the processes are looked up, so that a starting run sees it
            by_force = request.exists() and time.time() - request.stat().st_mtime > self._grace
            if not request.exists():
                with suppress(OSError):  # a run is canceled even if the disk is full
                    self._write(request, "")
            processes = read_processes(folder)
            if processes is None:
                return
            parent = living(processes.supervisor)
            if parent is not None:
                if not by_force:
                    parent.send_signal(signal.SIGTERM)
                parent.resume()  # one that is stopped would neither end the run nor record its end
                if not by_force:
                    return
            for process in living_group(processes.run):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL if by_force else signal.SIGTERM)

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        with self._errors():
            return log_end(self._runs / name / "log.txt", max_bytes)

    def live_runs(self) -> list[LiveRun]:
        self._reap()
        with self._errors():
            names = sorted({name for slot in range(self._slots) if self._is_busy(name := self._holder(slot))})
            return [LiveRun(name, since=begun(self._runs / name)) for name in names]

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
                [sys.executable, start_supervisor.__file__, str(folder), *limits, *request.command],
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
        with suppress(OSError, psutil.NoSuchProcess):  # without it a start that fails takes longer to be noticed
            identity = {"supervisor": [child.pid, supervisor.process_start(child.pid)]}
            supervisor.write_json(folder / "spawned.json", identity)

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
        status = describe_run(self._runs / name) if name else None
        return status is not None and status.state in (RunState.PENDING, RunState.RUNNING)

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

    def _errors(self) -> AbstractContextManager[None]:
        return home_errors(self._cluster, self._home, self._runs, _REMEDY)


def visible_gpus(environ: Mapping[str, str]) -> list[str]:
    """Returns the GPUs that this process may use, as named in CUDA_VISIBLE_DEVICES."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    devices = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted((name for name in devices if name.isdecimal()), key=int)
