"""The folder of a run, on the file system that nodes and controllers share.

It holds ``settings.json`` (with credentials, for its owner only, until the run has ended), ``log.txt``, ``job`` (the id
that Slurm gave), ``started`` (a token that only one job can take, with its id), ``process.json``, ``exit.json``,
``cancel``, ``missed`` while Slurm does not list the job, ``end-JOB-RANK.json`` of each of several tasks, and
``end-by-slurm.json`` if the run could not write its end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mitorch_service.backends.base import RunStatus
from mitorch_service.backends.local.supervisor import write_end
from mitorch_service.backends.run_files import ended_run, read_json
from mitorch_service.backends.slurm.states import CANCELED
from mitorch_service.backends.slurm.supervisor import CANCELED_BY_HAND, SETTINGS, TAKEN_AWAY, TIME_LIMIT
from mitorch_service.backends.slurm.task_ends import TaskEnds
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.attempts.run_state import RunState

_BY_SLURM = "end-by-slurm.json"
_ROOM = 65536  # bytes that must be free on the disk to start a run


class RunFolder:
    """The files of one run. Everything raises OSError."""

    def __init__(self, path: Path, access: FileAccess = PRIVATE) -> None:
        self.path = path
        self._access = access

    def create(self, settings: Mapping[str, str]) -> None:
        """Makes the folder with the settings of the run. Fails on a full disk, which the job could not tell."""
        self._access.make_folder(self.path)
        self._write("room", "\0" * _ROOM)
        (self.path / "room").unlink()
        if not self.log.exists():  # Slurm would make it readable by all
            self._write(self.log.name, "")
        part = self.path / f"{SETTINGS}.{os.getpid()}.part"
        with open(part, "w", opener=PRIVATE.opener) as file:
            json.dump(dict(settings), file)
        part.replace(self.path / SETTINGS)

    def remove(self) -> None:
        """Removes what `create` made, as Slurm has refused the run."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def exists(self) -> bool:
        return self.path.is_dir()

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    def job_id(self) -> str | None:
        """Returns the id of the job that Slurm is known to have accepted."""
        return self._read("job")

    def note_job(self, id: str) -> None:
        """Notes that Slurm has accepted the run."""
        if self.job_id() != id:
            self._write("job", id)

    def started_by(self) -> str | None:
        """Returns the id of the job that has taken the token ("" if it has not written it yet); None: none has."""
        return (self._read("started/job") or "") if (self.path / "started").is_dir() else None

    def age(self) -> datetime:
        """Returns when the folder was made, or last changed."""
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def ended(self) -> RunStatus | None:
        """Returns how the run ended by its own word; removes its settings, which nothing needs any more."""
        status = ended_run(self.path) or self._end_by_slurm()
        if status is None:
            return None
        self._remove_settings()
        lost = status.state == RunState.KILLED or status.exit_code == EXIT_INFRASTRUCTURE
        if lost and (self.path / TAKEN_AWAY).exists():
            return replace(status, preempted=True, timed_out=self._read(TAKEN_AWAY) == TIME_LIMIT)
        if lost and (self.path / CANCELED_BY_HAND).exists():
            return replace(status, canceled=True, reason=CANCELED)
        return status

    def is_canceled(self) -> bool:
        return (self.path / "cancel").exists()

    def note_cancel(self) -> None:
        """Notes the wish, before the job is looked up, so that a run that is just starting sees it."""
        if not self.is_canceled():
            with suppress(OSError):  # a run is canceled even if the disk is full
                self._write("cancel", "")

    def canceled_for(self) -> float:
        """Returns the seconds since the wish was noted."""
        try:
            return time.time() - (self.path / "cancel").stat().st_mtime
        except OSError:
            return 0.0

    def stop_before_start(self, reason: str | None = None) -> bool:
        """Takes the token of a run that has not taken it, so that no job ever runs it."""
        taken = self.take_token()
        if taken:
            write_end(self.path, -signal.SIGTERM, reason)
            self._remove_settings()
        return taken

    def take_token(self) -> bool:
        """Takes the token, if nobody has."""
        try:
            (self.path / "started").mkdir(0o700)
        except FileExistsError:
            return False
        return True

    def end_as(self, status: RunStatus) -> RunStatus:
        """Records the end of a run that could not record it, so that it is looked up only once. The failure of one of
        its tasks tells more than Slurm, which has ended the others for it."""
        tasks = TaskEnds(self.path, self.started_by() or "")
        failure = None if status.preempted or status.canceled else tasks.failure()
        if failure is not None:
            write_end(self.path, failure.code, tasks.describe(failure))
            return self.ended() or status
        told = {"state": status.state, "reason": status.reason}
        marks = {"preempted": status.preempted, "timed_out": status.timed_out, "canceled": status.canceled}
        self._write(_BY_SLURM, json.dumps({**told, **marks}))
        return self.ended() or status

    def _remove_settings(self) -> None:
        with suppress(OSError):
            (self.path / SETTINGS).unlink(missing_ok=True)

    def _end_by_slurm(self) -> RunStatus | None:
        """The end of a run that could not write its own, as Slurm told it."""
        told = read_json(self.path / _BY_SLURM)
        if told is None:
            return None
        return RunStatus(
            RunState(told["state"]),
            told["reason"],
            preempted=told["preempted"],
            timed_out=told.get("timed_out", False),
            canceled=told["canceled"],
        )

    def seconds_missed(self) -> float:
        """Returns for how long Slurm has not listed the job, from the first call on."""
        path = self.path / "missed"
        if not path.exists():
            self._write("missed", "")
        return max(0.0, time.time() - path.stat().st_mtime)

    def not_missed(self) -> None:
        """Slurm lists the job (again)."""
        (self.path / "missed").unlink(missing_ok=True)

    def _read(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _write(self, name: str, text: str) -> None:
        part = self.path / f"{name}.{os.getpid()}.part"
        with open(part, "w", opener=self._access.opener) as file:
            file.write(text)
        part.replace(self.path / name)


def unknown(reason: str) -> RunStatus:
    """The status of a run of which nothing can be said now."""
    return RunStatus(RunState.UNKNOWN, reason)
