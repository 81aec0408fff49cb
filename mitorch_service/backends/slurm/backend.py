"""Runs trainings as jobs of a Slurm cluster, by its own commands and a folder that nodes and controllers share.

Slurm has no idempotency key. A run name is executed once because its supervisor takes a token in the run's folder,
however many jobs have that name; `submit` looks for the name in Slurm's queue and in the folder before it asks, and a
second job waits for the end of the first (`--dependency=singleton`) to find the token taken. See docs/slurm.md.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.home_folder import home_errors
from mitorch_service.backends.optional import LiveRun, RunListing
from mitorch_service.backends.run_files import log_end
from mitorch_service.backends.slurm.batch_job import SlurmRequest, batch_script, python_of, sbatch_options
from mitorch_service.backends.slurm.commands import SECONDS, SlurmCommands
from mitorch_service.backends.slurm.job_queue import Job, JobQueue
from mitorch_service.backends.slurm.partition import Partition
from mitorch_service.backends.slurm.run_folder import RunFolder
from mitorch_service.backends.slurm.run_watch import RunWatch
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.errors import BackendError, BackendUnavailable, NoCapacity, RunRefused
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.models.training import Resources, run_name

_REMEDY = "Check that the cluster's folder (or MITORCH_HOME) is mounted and writable, and its disk not full."
GRACE_SECONDS = 30.0  # from SIGTERM to SIGKILL
MISSING_SECONDS = 300.0  # for which a job that Slurm does not list may come back
_PASS_SECONDS = 60.0  # for the submissions of a pass
_RUNS = "runs"


class SlurmBackend(Backend, RunListing):
    """Starts each run name once. A submission to a full partition waits in Slurm's own queue."""

    def __init__(
        self,
        cluster: SlurmCluster,
        home: Path,
        environment: Mapping[str, str],
        *,
        hidden: Sequence[str] = (),
        access: FileAccess = PRIVATE,
        grace: float = GRACE_SECONDS,
        missing_seconds: float = MISSING_SECONDS,
        command_seconds: float = SECONDS,
    ) -> None:
        """`environment`: settings that the runs need, by variable; each run reads them from its folder. `hidden`:
        variables of this process that Slurm and runs must not see. `grace`, `missing_seconds`, `command_seconds`: see
        above."""
        self._cluster = cluster
        self._home = home if cluster.folder is None else Path(cluster.folder)
        self._environment = environment
        self._access = access
        self._grace = grace
        self._commands = SlurmCommands(cluster, {*hidden, *environment}, command_seconds)
        self._queue = JobQueue(cluster, self._commands)
        self._partition = Partition(cluster, self._queue)
        self._watch = RunWatch(self._queue, self._commands, missing_seconds)

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        needed = resources or Resources()
        module = "mitorch_service.cli.main"
        command = (python_of(self._cluster), "-m", module, "run", training_id, "--attempt", str(attempt))
        return SlurmRequest(run_name(training_id, attempt), command, needed.nodes, needed.gpus, needed.memory)

    def submit(self, request: RunRequest) -> str | None:
        (answer,) = self.submit_all([request])
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str | BackendError | None]:
        try:
            with self._errors(), self._lock():
                named = self._queue.jobs_named([request.name for request in requests])
                known = {job.name: job for jobs in named.values() for job in jobs if job.is_active}
                limited = self._cluster.max_jobs is not None
                room = self._partition.room(self._running(self._queue.our_jobs())) if limited else None
                return self._submit_each(requests, known, room)
        except BackendError as error:
            return [error for _ in requests]

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        if not names:
            return {}
        with self._errors():
            return self._watch.describe({name: self._folder(name) for name in names})

    def cancel(self, name: str) -> None:
        folder = self._folder(name)
        with self._errors():
            jobs = [job for job in self._queue.jobs_named([name]).get(name, []) if job.is_active]
            if folder.exists and folder.ended() is None:
                asked_before = folder.is_canceled()
                folder.note_cancel()
                folder.stop_before_start()
                by_force = asked_before and folder.canceled_for() > self._grace
                self._end_jobs(jobs, by_force)
            else:  # it has ended; a job that was asked for twice may be left
                self._end_jobs([job for job in jobs if job.is_waiting], by_force=True)

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        with self._errors():
            return log_end(self._folder(name).log, max_bytes)

    def capacity(self) -> Capacity:
        with self._errors():
            return self._partition.capacity(self._running(self._queue.our_jobs()))

    def live_runs(self) -> list[LiveRun]:
        with self._errors():
            jobs = {
                job.name: job for job in self._running(self._queue.our_jobs())
            }  # a second job of a name waits for the first
            return [LiveRun(name, job.nodes, job.since) for name, job in jobs.items()]

    def _submit_each(
        self, requests: Sequence[RunRequest], known: Mapping[str, Job], room: int | None
    ) -> list[str | BackendError | None]:
        """Submits as many as there is time for; `room`: nodes that our jobs may still take, None: any number."""
        end = time.monotonic() + _PASS_SECONDS
        answers: list[str | BackendError | None] = []
        for request in requests:
            try:
                if time.monotonic() > end:
                    problem = f"Slurm took longer than {_PASS_SECONDS:g} s for the submissions before this one"
                    raise BackendUnavailable(self._cluster.name, problem, "Retrying in the next pass.")
                with self._errors():
                    if self._submit(request, known.get(request.name), room) and room is not None:
                        room -= request.nodes
                answers.append(str(self._folder(request.name).path))
            except BackendError as error:
                answers.append(error)
        return answers

    def _submit(self, request: RunRequest, known: Job | None, room: int | None) -> bool:
        """Submits the run unless it was before; returns whether it did."""
        folder = self._folder(request.name)
        if known is not None and not folder.exists:  # another home's: its supervisor has its own token
            return False
        if folder.exists and (folder.started_by() is not None or known is not None):
            if known is not None:
                folder.note_job(known.id)
            return False
        self._check_room(request, room)
        is_new = not folder.exists
        folder.create({**self._environment, "MITORCH_HOME": str(self._home)})
        try:
            self._ask(request, folder)
        except RunRefused:
            if is_new:
                folder.remove()  # a run with a folder counts as submitted
            raise
        return True

    def _ask(self, request: RunRequest, folder: RunFolder) -> None:
        """Asks Slurm for the job. After an answer that was lost, the name in Slurm's queue tells."""
        gpus = self._partition.node_gpus()
        options = sbatch_options(self._cluster, request, folder, self._queue.comment, gpus)
        script = batch_script(self._cluster, request, folder, gpus, self._grace)
        try:
            answer = self._commands.run("sbatch", *options, stdin=script)
        except BackendUnavailable:
            jobs = self._queue.jobs_named([request.name]).get(request.name, [])
            accepted = folder.started_by() or next((job.id for job in jobs if job.is_active), None)
            if not accepted:
                raise
            folder.note_job(accepted)
        else:
            folder.note_job(answer.strip().splitlines()[-1].partition(";")[0])

    def _check_room(self, request: RunRequest, room: int | None) -> None:
        most = self._cluster.max_jobs
        if most is not None and request.nodes > max(1, most):
            problem = f"{request.name} needs {request.nodes} nodes, and max_jobs allows {most} at a time"
            raise RunRefused(self._cluster.name, problem, "Raise max_jobs, or name another cluster.", of_request=True)
        if room is not None and request.nodes > room:
            raise NoCapacity(self._cluster.name)

    def _end_jobs(self, jobs: Sequence[Job], by_force: bool) -> None:
        """Asks running jobs to end by a signal to their supervisors, which kill them after the grace period; cancels
        others, and those that have not obeyed."""
        gently = [job.id for job in jobs if not job.is_waiting and not by_force]
        at_once = [job.id for job in jobs if job.is_waiting or by_force]
        for ids, options in ((gently, ("--batch", "--signal=TERM")), (at_once, ())):
            if ids:
                with suppress_ended():
                    self._commands.run("scancel", *options, *ids)

    def _running(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs whose runs have not ended: Slurm takes a moment to notice."""
        return [job for job in jobs if self._folder(job.name).ended() is None]

    def _folder(self, name: str) -> RunFolder:
        return RunFolder(self._home / _RUNS / name, self._access)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keeps other processes of this machine from submitting at the same time. On other machines, and on file
        systems without locks, the token alone decides."""
        folder = self._home / _RUNS
        self._access.make_folder(folder)
        with open(folder / f".{self._cluster.name}.lock", "w", opener=self._access.opener) as lock:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _errors(self) -> AbstractContextManager[None]:
        return home_errors(self._cluster.name, self._home, self._home, _REMEDY)


@contextmanager
def suppress_ended() -> Iterator[None]:
    """Ignores that a job has ended before scancel could reach it."""
    try:
        yield
    except BackendUnavailable:
        raise
    except BackendError as error:
        if not any(words in error.problem.lower() for words in ("invalid job id", "already completing", "completed")):
            raise
