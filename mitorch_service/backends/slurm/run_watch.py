"""Finds out how runs are: from their folders, Slurm's queue and its accounting, in this order of trust.

A run's own exit file decides. Else a job that Slurm lists is what Slurm says. One empty list is no end: a slurmctld
that has just been restarted may know less than before. A run is lost only by the accounting's word, or once Slurm has
not listed its job for `missing_seconds`, counted in the run's folder, as passes have no memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from mitorch_service.backends.base import RunStatus
from mitorch_service.backends.slurm.commands import SlurmCommands
from mitorch_service.backends.slurm.job_queue import Job, JobQueue
from mitorch_service.backends.slurm.run_folder import RunFolder, unknown
from mitorch_service.backends.slurm.states import active_status, ended_status
from mitorch_service.errors import BackendError
from mitorch_service.models.attempts.run_state import RunState


class RunWatch:
    """The status of runs."""

    def __init__(self, queue: JobQueue, commands: SlurmCommands, missing_seconds: float) -> None:
        self._queue = queue
        self._commands = commands
        self._missing_seconds = missing_seconds

    def describe(self, folders: Mapping[str, RunFolder]) -> dict[str, RunStatus | None]:
        """Returns the status of each run, None for one that Slurm was never asked for. Raises BackendError, OSError."""
        found: dict[str, RunStatus | None] = {name: folder.ended() for name, folder in folders.items()}
        rest = {name: folders[name] for name, status in found.items() if status is None}
        if not rest:
            return found
        jobs = self._queue.jobs_named(list(rest))
        gone = {name: folder for name, folder in rest.items() if not jobs.get(name) and _was_accepted(folder)}
        rows: Mapping[str, Job] = {}
        if gone:
            rows = self._queue.last_rows(list(gone), min(folder.age() for folder in gone.values()))
        for name, folder in rest.items():
            found[name] = folder.ended() or self._status(folder, jobs.get(name, []), rows.get(name))
        return found

    def _status(self, folder: RunFolder, jobs: Sequence[Job], row: Job | None) -> RunStatus | None:
        started_by = folder.started_by() if folder.exists else None
        if started_by:
            self._cancel([job for job in jobs if job.is_waiting and job.id != started_by])
            jobs = [job for job in jobs if not (job.is_waiting and job.id != started_by)]
        active = [job for job in jobs if job.is_active]
        if active:
            return self._active_status(folder, active[0], started_by)
        if jobs and folder.exists:  # else Slurm lists one that it has refused
            return self._end(folder, ended_status(jobs[-1].state))
        if not _was_accepted(folder):
            return None
        if row is not None and folder.job_id() in (None, row.id):
            if row.is_active:  # the accounting has not heard of its end, or the queue not of the job
                return unknown(f"Slurm's accounting says {row.state}, but its queue does not list the job")
            return self._end(folder, ended_status(row.state, row.exit_code))
        return self._missed(folder)

    def _active_status(self, folder: RunFolder, job: Job, started_by: str | None) -> RunStatus:
        if not folder.exists:
            return active_status(job.state, job.reason, job.since)
        folder.note_job(job.id)
        folder.not_missed()
        if job.is_waiting and started_by == job.id:  # its restart would find the token taken
            self._cancel([job])
            reason = f"Slurm requeued it after it had begun ({job.reason})"
            return folder.end_as(RunStatus(RunState.KILLED, reason, preempted=True))
        return active_status(job.state, job.reason, job.since)

    def _end(self, folder: RunFolder, status: RunStatus) -> RunStatus:
        """Records an end of which Slurm tells, so that no later pass asks again, and no job of that name begins."""
        if not folder.exists:
            return status
        with suppress(OSError):
            folder.take_token()
            return folder.end_as(status)
        return status

    def _missed(self, folder: RunFolder) -> RunStatus:
        waited = folder.seconds_missed()
        if waited < self._missing_seconds:
            left = self._missing_seconds - waited
            return unknown(f"Slurm does not list its job: waiting {left:.0f} s for it to come back")
        reason = f"Slurm has not listed its job for {waited:.0f} s, and it left no exit code"
        return self._end(folder, RunStatus(RunState.KILLED, reason))

    def _cancel(self, jobs: Sequence[Job]) -> None:
        """Cancels jobs that would do nothing. Slurm may refuse: then they do nothing later."""
        if jobs:
            with suppress(BackendError):
                self._commands.run("scancel", *(job.id for job in jobs))


def _was_accepted(folder: RunFolder) -> bool:
    return folder.exists and (folder.job_id() is not None or folder.started_by() is not None)
